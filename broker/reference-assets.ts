/** Style of the reference page; follows the reader's light or dark preference. */
export const referenceStyle = `
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d8dee4;--ground:#fff;--side:#f6f8fa;--mark:#0b5cad;--get:#0a7d4f;--post:#0b5cad;--put:#8a5a00;--patch:#7b3fb5;--delete:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa4af;--line:#30363d;--ground:#0f1318;--side:#151a20;--mark:#6db3ff;--get:#56d39b;--post:#6db3ff;--put:#e0b050;--patch:#c79bf2;--delete:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;display:grid;grid-template-columns:19rem minmax(0,1fr);font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--ground)}
nav{position:sticky;top:0;height:100vh;overflow:auto;background:var(--side);border-right:1px solid var(--line);padding:1rem}
nav header{font-size:1.15rem;margin-bottom:.7rem}
nav input{width:100%;padding:.45rem .6rem;border:1px solid var(--line);border-radius:6px;background:var(--ground);color:inherit;font:inherit}
nav h2{font-size:.72rem;text-transform:uppercase;letter-spacing:.06em;color:var(--soft);margin:1.1rem 0 .25rem}
nav a{display:block;padding:.12rem .3rem;border-radius:4px;color:inherit;text-decoration:none;white-space:nowrap;overflow:hidden;text-overflow:ellipsis;font-size:.87rem}
nav a:hover,nav a:focus-visible{background:var(--line)}
a{color:var(--mark)}
main{padding:2rem clamp(1rem,4vw,4rem);max-width:68rem}
h1{font-size:1.9rem;margin:0 0 .3rem}.lead{font-size:1.1rem;color:var(--soft)}
h2.tag{margin-top:3rem;padding-bottom:.3rem;border-bottom:2px solid var(--line);text-transform:capitalize}
article{padding:1.1rem 0;border-bottom:1px solid var(--line);scroll-margin-top:1rem}
article:target{border-left:3px solid var(--mark);padding-left:1rem}
h3{font-size:1.02rem;margin:0;overflow-wrap:anywhere}h4{margin:.9rem 0 .3rem;font-size:.8rem;text-transform:uppercase;letter-spacing:.05em;color:var(--soft)}
p{margin:.35rem 0}.id{color:var(--soft);font-size:.85rem}
b.get,b.post,b.put,b.patch,b.delete{display:inline-block;min-width:3.6em;font:600 .72rem/1.6 ui-monospace,monospace;text-transform:uppercase}
b.get{color:var(--get)}b.post{color:var(--post)}b.put{color:var(--put)}b.patch{color:var(--patch)}b.delete{color:var(--delete)}
code{font:.88em ui-monospace,monospace;background:var(--side);padding:.05em .3em;border-radius:4px;overflow-wrap:anywhere}
em{font-style:normal;font-size:.75rem;color:var(--soft)}small{color:var(--soft)}
table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}td{border-top:1px solid var(--line);padding:.35rem .8rem .35rem 0;vertical-align:top}td p{margin:0}
[hidden]{display:none!important}
@media(max-width:50rem){body{grid-template-columns:minmax(0,1fr)}nav{position:static;height:auto;max-height:45vh}}
`;

/** Search: every word must be somewhere in an entry's name, path or summary. */
export const referenceScript = `
const search=document.getElementById('search');
const entries=[...document.querySelectorAll('[data-text]')].map(e=>[e,e.dataset.text.toLowerCase()]);
const heads=[...document.querySelectorAll('#found h2')];
search.addEventListener('input',()=>{
  const words=search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for(const [e,text] of entries)e.hidden=!words.every(w=>text.includes(w));
  for(const h of heads){let n=h.nextElementSibling,any=false;while(n&&n.tagName==='A'){any||=!n.hidden;n=n.nextElementSibling}h.hidden=!any}
});
addEventListener('keydown',e=>{if(e.key==='/'&&document.activeElement!==search){e.preventDefault();search.focus()}if(e.key==='Escape'&&document.activeElement===search){search.value='';search.dispatchEvent(new Event('input'))}});
`;
