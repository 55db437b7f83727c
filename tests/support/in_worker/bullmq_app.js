// bullmq_app.js work|add|workers PORT …: a BullMQ worker as the documentation shows one, and what a test asks.
const fs = require("fs");
const { Queue, Worker } = require("bullmq");

const [what, port, notes, gate] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };

const note = (path, word) => fs.appendFileSync(path, `${word} ${process.pid} ${Date.now() / 1000}\n`);

async function until(job) {
  note(job.data.notes, "start");
  while (!fs.existsSync(job.data.gate)) await new Promise((done) => setTimeout(done, 20));
  note(job.data.notes, "end");
}

async function ask(queue) {
  if (what === "add") console.log((await queue.add("until", { notes, gate })).id);
  if (what === "workers") console.log(JSON.stringify((await queue.getWorkers()).map((one) => one.rawname)));
  await queue.close();
}

if (what === "work") {
  const worker = new Worker("jobs", until, {
    connection, name: process.env.MUSTER_WORKER_NAME, lockDuration: 1000, stalledInterval: 1000,
  });
  process.once("SIGTERM", () => worker.close().then(() => process.exit(0)));
} else {
  ask(new Queue("jobs", { connection }));
}
