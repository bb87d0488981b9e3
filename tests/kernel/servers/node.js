// A Node server: `node node.js PORT`. Answers in chunks, after a turn of its event loop.
const http = require("node:http");
http.createServer((request, response) => {
  request.resume();
  request.on("end", () => setImmediate(() => {
    response.write("hel");
    setImmediate(() => response.end("lo"));
  }));
}).listen(Number(process.argv[2]), "127.0.0.1");
