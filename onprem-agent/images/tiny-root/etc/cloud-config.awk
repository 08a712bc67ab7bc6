# The subset of #cloud-config that the tiny guest knows, turned into a shell script on standard output.
function indent_of(line) { match(line, /^ */); return RLENGTH }
function quoted(text) { gsub(/'/, "'\\''", text); return "'" text "'" }
function bare(text) {
  sub(/[ \t]+$/, "", text)
  if (text ~ /^".*"$/) { text = substr(text, 2, length(text) - 2); gsub(/\\"/, "\"", text); gsub(/\\\\/, "\\", text) }
  else if (text ~ /^'.*'$/) { text = substr(text, 2, length(text) - 2); gsub(/''/, "'", text) }
  return text
}
# Flow list of plain words: [a, "b c"] becomes quoted arguments.
function arguments(text,   parts, n, i, out) {
  sub(/^\[ */, "", text); sub(/ *\]$/, "", text)
  n = split(text, parts, / *, */)
  for (i = 1; i <= n; i++) out = out " " quoted(bare(parts[i]))
  return substr(out, 2)
}
function finish_file() {
  if (path == "") return
  print "mkdir -p \"$(dirname " quoted(path) ")\""
  print "printf '%s' " quoted(content) " > " quoted(path)
  if (mode != "") print "chmod " mode " " quoted(path)
  path = content = mode = ""
}
function field(text,   key) {
  key = text; sub(/:.*/, "", key); sub(/^[^:]*: */, "", text)
  if (key == "path") path = bare(text)
  else if (key == "permissions") mode = bare(text)
  else if (key == "content") {
    if (text ~ /^\|/) { block = 1; blockIndent = -1; strip = (text ~ /-/) } else content = bare(text)
  }
}
BEGIN { print "#!/bin/sh" }
block {
  if ($0 ~ /^ *$/) { content = content "\n"; next }
  if (blockIndent < 0) { blockIndent = indent_of($0) }
  if (indent_of($0) >= blockIndent && blockIndent > keyIndent) { content = content substr($0, blockIndent + 1) "\n"; next }
  block = 0
  sub(/\n+$/, strip ? "" : "\n", content)
}
/^ *(#|$)/ { next }
/^[A-Za-z_]+:/ {
  finish_file()
  section = $0; sub(/:.*/, "", section)
  if (section == "hostname") { text = $0; sub(/^hostname: */, "", text); print "echo " quoted(bare(text)) " > /etc/hostname; hostname -F /etc/hostname" }
  next
}
section == "runcmd" && /^ *- / {
  text = $0; sub(/^ *- */, "", text)
  print (text ~ /^\[/ ? arguments(text) : bare(text)); next
}
section == "ssh_authorized_keys" && /^ *- / {
  text = $0; sub(/^ *- */, "", text)
  print "echo " quoted(bare(text)) " >> /root/.ssh/authorized_keys"; next
}
section == "write_files" {
  text = $0
  if (text ~ /^ *- /) { finish_file(); keyIndent = indent_of(text) + 2; sub(/^ *- */, "", text) } else { keyIndent = indent_of(text); sub(/^ */, "", text) }
  field(text)
}
END { if (block) sub(/\n+$/, strip ? "" : "\n", content); finish_file() }
