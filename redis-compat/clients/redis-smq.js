// redis-smq: a message is acknowledged by its consumer; what a dead consumer had in hand is tried again
// when its heartbeat is over: at least once. It loads its scripts when it starts and never again: when the
// server was restarted it must be, too.
'use strict';
const { execFile } = require('child_process');
const { promisify } = require('util');
const s = require('./lib/scenario');
const smq = require('redis-smq');

smq.Configuration.getSetConfig({
  redis: { client: 'ioredis', options: { host: '127.0.0.1', port: s.port } },
  logger: { enabled: false }, messages: { store: false },
});
const call = (object, method, ...args) => new Promise((resolve, reject) =>
  object[method](...args, (problem, reply) => problem ? reject(problem) : resolve(reply)));

async function worker() {
  const consumer = new smq.Consumer();
  consumer.on('consumer.error', () => process.exit(1));     // whoever watches it starts another
  await call(consumer, 'run');
  await call(consumer, 'consume', 'jobs', (message, done) =>
    s.perform(message.body).then(() => done(), done));
}

async function producer() {
  const producer = new smq.Producer();
  await call(producer, 'run');
  return (name, change = message => message) => call(producer, 'produce', change(
    new smq.ProducibleMessage().setQueue('jobs').setBody(name).setRetryThreshold(3).setRetryDelay(0)));
}

// A process of its own adds one message: one that loses its connection never answers again.
const addAlone = name => promisify(execFile)(process.execPath, [__filename, 'add', name], { timeout: 5000 });

async function story() {
  s.library('redis-smq', 'ioredis');
  s.promise("a killed worker's job runs again (heartbeat)");
  const queue = new smq.Queue();
  await call(queue, 'save', 'jobs', smq.EQueueType.FIFO_QUEUE, smq.EQueueDeliveryModel.POINT_TO_POINT);
  const add = await producer();

  const jobs = s.firstJobs();
  for (const name of ['hang-0', ...jobs.plain, ...jobs.flaky, ...jobs.doomed]) await add(name);
  jobs.due = Date.now() + 1500;
  for (const name of jobs.later) await add(name, message => message.setScheduledDelay(1500));
  s.startWorkers(3);

  await s.killWorkerInTheMiddleOf('hang-0');
  s.startWorker();
  await s.until('the first jobs are done', () => s.allDone([...jobs.succeeding, ...jobs.hang]), 100000);
  await s.until('the doomed jobs have failed', () => jobs.doomed.every(name => s.times('fail', name) === 3));
  s.checkFirstJobs(jobs, { attempts: 3 });

  for (const name of s.names('plain-backlog', 150)) await add(name);
  const wave = s.names('plain-wave', 20);
  const acknowledged = [...s.names('plain-backlog', 150), ...await s.addThroughServerKill(wave, addAlone)];
  await s.until('what was acknowledged is done', () => {
    s.restartDeadWorkers();
    return s.allDone(acknowledged);
  }, 100000);
  s.checkWave(acknowledged, 3);
  await s.finish();
}

if (process.argv[2] === 'add')
  producer().then(add => add(process.argv[3])).then(() => process.exit(0), () => process.exit(1));
else (s.isWorker ? worker() : story()).catch(s.isWorker ? problem => { console.error(problem); process.exit(1); } : s.fail);
