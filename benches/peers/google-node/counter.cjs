// Google's own client of Firestore with many writers on one counter, for benches/src/bin/firestore.rs to
// compare with.
//
// Reads lines such as `increment 32`: how, and how many writers at once. Answers each with one line of JSON: what
// the counter is at the end, and what it took until the last writer was done, in milliseconds.
"use strict";

const path = require("node:path");
const readline = require("node:readline");
const { setTimeout } = require("node:timers/promises");

// Installed into a folder of the build's, which is given.
const { FieldValue, Firestore } = require(path.resolve(process.argv[2], "node_modules/@google-cloud/firestore"));

// Of gRPC.
const ALREADY_EXISTS = 6;
const FAILED_PRECONDITION = 9;

const firestore = new Firestore({ projectId: process.env.GOOGLE_CLOUD_PROJECT });

const writers = {
  // The client's own way for counters: the service adds.
  increment: (counter) => counter.set({ n: FieldValue.increment(1) }, { merge: true }),
  // Its way for any other change. Of the five attempts that it makes by itself most would be lost here.
  transaction: (counter) =>
    firestore.runTransaction(
      async (transaction) => {
        const read = await transaction.get(counter);
        transaction.set(counter, { n: (read.get("n") ?? 0) + 1 });
      },
      { maxAttempts: 1000 },
    ),
  // By hand what `update` of isobar does: read, change, and write if nobody did so meanwhile.
  update: async (counter) => {
    for (;;) {
      const read = await counter.get();
      try {
        if (!read.exists) return await counter.create({ n: 1 });
        return await counter.update({ n: read.get("n") + 1 }, { lastUpdateTime: read.updateTime });
      } catch (error) {
        if (error.code !== ALREADY_EXISTS && error.code !== FAILED_PRECONDITION) throw error;
        await setTimeout(Math.random() * 100);
      }
    }
  },
};

async function main() {
  let rounds = 0;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [how, count] = line.split(" ");
    const counter = firestore.collection("bench-counters").doc(`node-${how}-${rounds++}`);
    const started = process.hrtime.bigint();
    await Promise.all(Array.from({ length: Number(count) }, () => writers[how](counter)));
    const ms = Number(process.hrtime.bigint() - started) / 1e6;
    const value = (await counter.get()).get("n");
    process.stdout.write(`${JSON.stringify({ value, ms })}\n`);
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
