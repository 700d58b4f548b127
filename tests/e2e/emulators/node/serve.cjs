// Runs one program of an npm package, and ends with the process that started it.
//
//     serve.cjs PROGRAM ARGUMENT...
//
// The test process holds standard input open; when it closes, for whatever reason, this process ends.

process.stdin.on("end", () => process.exit(0)).on("error", () => process.exit(0)).resume();
process.argv.splice(1, 1);
require(process.argv[1]);
