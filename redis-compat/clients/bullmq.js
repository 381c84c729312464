// BullMQ: at least once; exactly once unless a worker or the server dies in the middle. A job whose
// worker died is found stalled and run again. Run with ioredis 5, ioredis 6 and node-redis.
'use strict';
const s = require('./lib/scenario');
const { Queue, Worker, QueueEvents, FlowProducer } = require('bullmq');

const driver = process.argv[2];
function connect() {
  if (driver === 'ioredis5') return { port: s.port, host: '127.0.0.1' };
  if (driver === 'ioredis6') {
    const Redis = require('ioredis6').Redis;
    return new Redis({ port: s.port, host: '127.0.0.1', maxRetriesPerRequest: null });
  }
  const client = require('redis').createClient({ url: `redis://127.0.0.1:${s.port}` });
  client.on('error', () => {});       // it reconnects by itself
  return client;
}

function worker() {
  const options = { connection: connect(), stalledInterval: 500, lockDuration: 1500, maxStalledCount: 5 };
  new Worker('jobs', job => s.perform(job.name), options).on('error', () => {});
}

async function story() {
  s.library('bullmq', { ioredis5: 'ioredis', ioredis6: 'ioredis6', 'node-redis': 'redis' }[driver]);
  s.promise("a killed worker's job runs again");
  const queue = new Queue('jobs', { connection: connect() });
  const events = new QueueEvents('jobs', { connection: connect() });
  for (const part of [queue, events]) part.on('error', () => {});
  await events.waitUntilReady();
  const completed = new Set();
  events.on('completed', ({ jobId }) => completed.add(jobId));
  const add = (name, options = {}) => queue.add(name, {}, { jobId: name, attempts: 3, ...options });

  const jobs = s.firstJobs();
  await add('hang-0');
  await queue.addBulk(jobs.plain.slice(10).map(name => ({ name, data: {}, opts: { jobId: name, attempts: 3 } })));
  for (const [i, name] of jobs.plain.slice(0, 10).entries()) await add(name, { priority: i + 1 });
  for (const name of jobs.flaky) await add(name, { backoff: { type: 'exponential', delay: 50 } });
  for (const name of jobs.doomed) await add(name);
  for (const name of jobs.later) await add(name, { delay: jobs.due - Date.now() });
  s.startWorkers(3);

  await s.killWorkerInTheMiddleOf('hang-0');
  s.startWorker();
  const succeeding = [...jobs.succeeding, ...jobs.hang];
  await s.until('the first jobs are done', () => s.allDone(succeeding));
  await s.until('the doomed jobs have failed', async () => (await queue.getJobCounts('failed')).failed === jobs.doomed.length);
  await s.until('the last result is stored', async () =>
    (await queue.getJobCounts('completed')).completed === succeeding.length);

  s.checkFirstJobs(jobs, { attempts: 3 });
  const results = await Promise.all(succeeding.map(name => queue.getJob(name).then(job => job.returnvalue)));
  s.check('every result is stored', succeeding.every((name, i) => results[i] === `result of ${name}`));
  await s.until('the events tell of every completed job', () => succeeding.every(name => completed.has(name)));
  const reason = (await queue.getJob('doomed-0')).failedReason;
  s.check('the reason of a failure is stored', reason === 'doomed-0 fails', reason);

  // A flow: the parent waits for its children.
  const flow = new FlowProducer({ connection: connect() });
  flow.on('error', () => {});
  await flow.add({ name: 'plain-parent', queueName: 'jobs',
                   children: s.names('plain-child', 3).map(name => ({ name, queueName: 'jobs' })) });
  await s.until('the parent is done', () => s.allDone(['plain-parent']));
  const begun = s.noted('start', 'plain-parent')[0].time;
  s.every('its children were done before', s.names('plain-child', 3), name => s.noted('done', name)[0].time <= begun);

  const wave = [...s.names('plain-wave', s.fast ? 30 : 60), ...s.names('flaky-wave', 10), ...s.names('later-wave', 10)];
  const acknowledged = await s.addThroughServerKill(wave, name =>
    add(name, name.startsWith('later') ? { delay: 400 } : {}));
  await s.until('what was acknowledged is done', () => s.allDone(acknowledged));
  s.checkWave(acknowledged, 3);
  await s.until('nothing is left', async () => {
    const left = await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized');
    return Object.values(left).every(count => count === 0);
  });
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed');
  s.check('nothing waits, runs or is late', counts.waiting + counts.active + counts.delayed === 0, JSON.stringify(counts));
  s.check('only the doomed jobs failed', counts.failed === jobs.doomed.length, JSON.stringify(counts));
  await s.finish();
}

if (s.isWorker) worker();
else story().catch(s.fail);
