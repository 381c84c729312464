// rsmq: a message that was received comes back after its visibility time unless it was deleted: at least
// once. The worker here deletes what it has done, and what it has received four times.
'use strict';
const s = require('./lib/scenario');
const RSMQ = require('rsmq');

const open = () => {
  const rsmq = new RSMQ({ host: '127.0.0.1', port: s.port, options: { retry_strategy: () => 100 } });
  rsmq.redis.on('error', () => {});
  return rsmq;
};
const queue = { qname: 'jobs' };

async function worker() {
  for (const rsmq = open(); ;) {
    try {
      const { id, message, rc } = await rsmq.receiveMessageAsync(queue);
      if (!id) await s.sleep(20);
      else if (rc > 3) await rsmq.deleteMessageAsync({ ...queue, id });
      else if (await s.perform(message).catch(() => undefined)) await rsmq.deleteMessageAsync({ ...queue, id });
    } catch (problem) {
      await s.sleep(50);        // no server: what was received comes back
    }
  }
}

async function story() {
  s.library('rsmq');
  s.promise("a killed worker's job runs again (visibility time)");
  const rsmq = open();
  await rsmq.createQueueAsync({ ...queue, vt: 1 });
  const add = (message, delay = 0) => rsmq.sendMessageAsync({ ...queue, message, delay });

  const jobs = s.firstJobs();
  for (const name of ['hang-0', ...jobs.plain, ...jobs.flaky, ...jobs.doomed]) await add(name);
  for (const name of jobs.later) await add(name, 2);
  s.startWorkers(3);

  await s.killWorkerInTheMiddleOf('hang-0');
  s.startWorker();
  await s.until('the first jobs are done', () => s.allDone([...jobs.succeeding, ...jobs.hang]));
  const left = async () => (await rsmq.getQueueAttributesAsync(queue)).msgs;
  await s.until('no message is left', async () => await left() === 0);
  s.checkFirstJobs(jobs, { attempts: 3 });
  const { totalsent, totalrecv } = await rsmq.getQueueAttributesAsync(queue);
  const sent = 1 + jobs.succeeding.length + jobs.doomed.length;
  const received = sent + 1 + jobs.flaky.length + 3 * jobs.doomed.length;
  s.check('what was sent and received is counted', totalsent === sent && totalrecv === received, `${totalsent} ${totalrecv}`);

  const wave = [...s.names('plain-wave', 60), ...s.names('flaky-wave', 10)];
  const acknowledged = await s.addThroughServerKill(wave, name => add(name));
  await s.until('what was acknowledged is done', () => s.allDone(acknowledged));
  s.checkWave(acknowledged, 3);
  await s.until('no message is left', async () => await left() === 0);
  await s.finish();
}

(s.isWorker ? worker() : story()).catch(s.isWorker ? console.error : s.fail);
