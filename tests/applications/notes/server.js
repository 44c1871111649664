// Copyright (c) 2026, The scaleout.platform team
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
'use strict';

// A small application of another kind: Node, without a database. It ends when it is told to, once it has answered.
const http = require('http');
const os = require('os');

if (process.env.EDITION === 'broken') {
  throw new Error('this edition does not start');
}

const server = http.createServer((request, response) => {
  const known = request.url === '/' || request.url === '/healthz';
  response.writeHead(known ? 200 : 404, {'Content-Type': 'application/json', 'Server-Name': os.hostname()});
  response.end(JSON.stringify({edition: process.env.EDITION}));
});
server.keepAliveTimeout = 120000;
server.listen(Number(process.env.PORT));
process.on('SIGTERM', () => server.close());
