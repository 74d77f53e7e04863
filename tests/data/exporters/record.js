// node record.js: as record.py does, for express-prom-bundle.
const fs = require("fs");
const express = require("express");
const bundle = require("express-prom-bundle");

const app = express();
app.use(bundle({ includeMethod: true }));
app.get("/good", (_, answer) => answer.send("yes"));
app.get("/failed", (_, answer) => answer.status(500).send("no"));
app.get("/slow", (_, answer) => setTimeout(() => answer.send("yes"), 300));

const server = app.listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const paths = ["/slow", "/slow", "/failed", ...Array(7).fill("/good")];
  for (const path of paths) await (await fetch(url + path)).text();
  const lines = (await (await fetch(url + "/metrics")).text()).split("\n");
  const kept = lines.filter((line) => /^(# TYPE )?http_/.test(line));
  fs.writeFileSync(process.argv[2], kept.join("\n") + "\n");
  server.close();
});
