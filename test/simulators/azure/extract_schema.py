"""Writes what Microsoft's own generated Python SDKs say about the wire as JSON:
   python extract_schema.py <package> <file>, e.g. azure.mgmt.compute or, of the older generator, azure.mgmt.monitor
   {operations:[{id,method,url,apiVersion,query:[..],body,expect:[..],answer:{model,list}}], models:{Name:{base,props:{wire:{type,required,readonly}}}}, enums:{Name:[..]}}"""
import ast, enum, glob, importlib, inspect, json, os, re, sys
pkg = sys.argv[1]
M = importlib.import_module(pkg + ".models")
root = importlib.import_module(pkg).__path__[0]
enums = {n: [m.value for m in e] for n, e in vars(M).items() if inspect.isclass(e) and issubclass(e, enum.Enum) and len(e)}
new = os.path.exists(root + "/models/_models.py")
tree = ast.parse(open(root + "/models/_models" + ("" if new else "_py3") + ".py").read())
def T(n):
    """annotation AST -> schema type"""
    if isinstance(n, ast.Constant) and isinstance(n.value, str): return T(ast.parse(n.value, mode="eval").body)
    if isinstance(n, ast.Attribute):
        b = n.value.id if isinstance(n.value, ast.Name) else ast.unparse(n.value)
        if b == "_models": return {"$ref": n.attr} if n.attr not in enums else {"enum": n.attr}
        if b == "datetime": return {"type": "string", "format": n.attr}
        return {"type": "string", "py": ast.unparse(n)}
    if isinstance(n, ast.Name): return {"str": {"type": "string"}, "int": {"type": "integer"}, "float": {"type": "number"}, "bool": {"type": "boolean"}, "bytes": {"type": "string"}, "Any": {}}.get(n.id, {"py": n.id})
    if isinstance(n, ast.Subscript):
        b = ast.unparse(n.value); a = n.slice.elts if isinstance(n.slice, ast.Tuple) else [n.slice]
        if b == "Optional": return T(a[0])
        if b == "list": return {"type": "array", "items": T(a[0])}
        if b == "dict": return {"type": "object", "additional": T(a[1])}
        if b == "Union":
            e = [T(x) for x in a]; r = [x for x in e if "enum" in x]
            return {"type": "string", **r[0]} if r else e[0]
        if b == "Literal": 
            v = a[0]; v = v if isinstance(v, ast.Constant) else None
            return {"type": "string", **({"const": v.value} if v else {})}
    return {"py": ast.unparse(n)}
def old(t):
    """type of an older model's _attribute_map -> schema type; it does not name the enumeration of a property"""
    if t[0] in "[{": return {"type": "array", "items": old(t[1:-1])} if t[0] == "[" else {"type": "object", "additional": old(t[1:-1])}
    known = {"str": "string", "int": "integer", "long": "integer", "float": "number", "bool": "boolean", "iso-8601": "string", "duration": "string", "date": "string"}
    return {"type": known[t]} if t in known else {"$ref": t} if hasattr(M, t) else {}
models = {}
for c in [x for x in tree.body if isinstance(x, ast.ClassDef)]:
    props = {}
    if not new:
        cls = getattr(M, c.name); rules = getattr(cls, "_validation", {})
        for n, p in cls._attribute_map.items():
            r = rules.get(n, {}); props[p["key"]] = {**old(p["type"]), "required": bool(r.get("required")), "readonly": bool(r.get("readonly"))}
    for s in c.body:
        if isinstance(s, ast.AnnAssign) and isinstance(s.value, ast.Call) and getattr(s.value.func, "id", "") in ("rest_field", "rest_discriminator"):
            kw = {k.arg: k.value for k in s.value.keywords}
            wire = kw["name"].value if "name" in kw else s.target.id
            vis = [v.value for v in kw["visibility"].elts] if "visibility" in kw else None
            ann = s.annotation; opt = isinstance(ann, ast.Subscript) and ast.unparse(ann.value) == "Optional"
            props[wire] = {**T(ann), "required": not opt and vis != ["read"], "readonly": vis == ["read"], **({"visibility": vis} if vis and vis != ["read"] else {})}
    models[c.name] = {"base": [b for b in map(ast.unparse, c.bases) if new and b != "_Model"], "props": props}
# operations
ops = []; body = {}; expect = {}; answer = {}
for fn in sorted(glob.glob(f"{root}/operations/_*operations.py")):
    # The older generator has a file for each group of operations, and says the group nowhere else.
    group = "" if new else os.path.basename(fn)[1:-len("operations.py")]
    t = ast.parse(open(fn).read())
    for f in t.body:
        if isinstance(f, ast.FunctionDef) and f.name.startswith("build_"):
            s = ast.unparse(f)
            url = re.search(r"_url = (?:kwargs\.pop\('template_url', )?'([^']+)'", s); m = re.search(r"method='(\w+)'", s); av = re.search(r"'api-version', '([\d-]+(?:-preview)?)'", s)
            q = re.findall(r"_params\['([^']+)'\]", s)
            if url and m: ops.append({"id": group + f.name[6:-8], "method": m[1], "url": url[1], "apiVersion": av[1] if av else None, "query": q, "requiredQuery": [x for x in q if x == "api-version" or not re.search(r"is not None:\s*_params\['" + re.escape(x), s)]})
    for c in [x for x in t.body if isinstance(x, ast.ClassDef)]:
        initial = {}
        for f in [x for x in c.body if isinstance(x, ast.FunctionDef)]:
            s = ast.unparse(f); r = re.search(r"_request = build_(\w+)_request\(", s); r = r and [r[0], group + r[1]]
            # What the answer holds: of a long-running operation it stands in the function that begins it.
            b = re.search(r"self\.(_\w+_initial)\(", s); d = re.search(r"(?<![a-z])_deserialize\((list|List)?\[?_models\.(\w+)\]?, (response\.json|deserialized)", s)
            of = r[1] if r else initial.get(b[1]) if b else None
            if r: initial[f.name] = r[1]
            whole = re.search(r"_deserialize\('(\w+)', pipeline_response", s)
            if of and whole: answer[of] = {"model": whole[1], "list": None}
            if of and d: answer[of] = {"model": d[2], "list": None if not d[1] else "value" if d[3] == "deserialized" else "array"}
            if not r: continue
            for a in f.args.args + f.args.kwonlyargs:
                if a.annotation is not None:
                    z = re.search(r"_models\.(\w+)", ast.unparse(a.annotation))
                    if z and "IO[bytes]" in ast.unparse(a.annotation): body[r[1]] = {"model": z[1], "optional": "Optional" in ast.unparse(a.annotation)}
            x = re.search(r"status_code not in \[([\d, ]+)\]", s)
            if x: expect[r[1]] = [int(i) for i in x[1].split(",")]
for o in ops: o["body"] = body.get(o["id"]); o["expect"] = expect.get(o["id"]); o["answer"] = answer.get(o["id"])
out = {"source": f"{pkg} {importlib.import_module(pkg).__version__} (PyPI, MIT)", "operations": ops, "models": models, "enums": enums}
json.dump(out, open(sys.argv[2], "w"))
