// ioredis 5 and 6, with a small queue of our own on a stream (see README, "The little queue"), and a
// session of what else the client does.
'use strict';
const s = require('./lib/scenario');
const { Redis } = require(process.argv[2]);

const script = { numberOfKeys: 2, lua: `
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 10)
  for _, name in ipairs(due) do
    redis.call('ZREM', KEYS[1], name)
    redis.call('XADD', KEYS[2], '*', 'name', name)
  end
  return #due` };
const open = () => new Redis({ host: '127.0.0.1', port: s.port, scripts: { moveDue: script } }).on('error', () => {});

async function worker() {
  const redis = open(), me = `worker-${process.pid}`;
  const turn = async () => {
    await redis.moveDue('later', 'jobs', Date.now());
    let entries = (await redis.xautoclaim('jobs', 'group', me, 1000, '0', 'COUNT', 1))[1];
    if (!entries.length) {
      const read = await redis.xreadgroup('GROUP', 'group', me, 'COUNT', 1, 'BLOCK', 50, 'STREAMS', 'jobs', '>');
      entries = read ? [].concat(Array.isArray(read) ? read[0][1] : Object.values(read)[0]) : [];
    }
    for (const [id, [, name]] of entries) {
      const [[, , , deliveries]] = await redis.xpending('jobs', 'group', id, id, 1);
      const result = await s.perform(name).catch(problem => problem);
      if (typeof result === 'string')
        await redis.multi().hset('results', name, result).xack('jobs', 'group', id).publish('done', name).exec();
      else if (deliveries >= 3) await redis.multi().rpush('dead', name).xack('jobs', 'group', id).exec();
    }
  };
  for (;;) await turn().catch(() => s.sleep(50));
}

async function session(redis) {
  s.check('pipelines answer in order', (await redis.pipeline().set('a', 1).incr('a').get('a').exec())
    .map(([, reply]) => reply).join() === 'OK,2,2');
  await redis.hset('hash', { one: '1', two: '2' });
  s.check('a hash comes as an object', JSON.stringify(await redis.hgetall('hash')) === '{"one":"1","two":"2"}');
  await redis.zadd('scores', 1.5, 'half', 10, 'ten');
  s.check('scores come', (await redis.zrange('scores', 0, -1, 'WITHSCORES')).flat().map(String).join() === 'half,1.5,ten,10');
  await redis.sadd('set', ...Array.from({ length: 300 }, (_, i) => `member-${i}`));
  const seen = new Set();
  for await (const keys of redis.sscanStream('set', { count: 50 })) keys.forEach(key => seen.add(key));
  s.check('SSCAN sees every member', seen.size === 300, seen.size);
  const binary = Buffer.from([0, 255, 13, 10, 128]);
  await redis.set('binary', binary);
  s.check('binary values come back', binary.equals(await redis.getBuffer('binary')));
  const wrong = await redis.lpush('a', 1).catch(problem => problem.message);
  s.check('errors are as they are in Redis', wrong === 'WRONGTYPE Operation against a key holding the wrong kind of value', wrong);
  const blocked = redis.duplicate().blpop('empty', 0);
  await redis.rpush('empty', 'woken');
  s.check('a blocked pop is woken', (await blocked)[1] === 'woken');
  await redis.watch('a');
  await redis.duplicate().set('a', 'changed');
  s.check('WATCH undoes the transaction', await redis.multi().set('a', 'mine').exec() === null);
  const subscriber = redis.duplicate();
  await subscriber.psubscribe('news.*');
  const heard = new Promise(resolve => subscriber.on('pmessage', (...message) => resolve(message.join())));
  await redis.publish('news.today', 'sun');
  s.check('a pattern hears', await heard === 'news.*,news.today,sun');
}

async function story() {
  s.library(process.argv[2]);
  s.promise('at least once, our own queue on a stream');
  const redis = open(), subscriber = open();
  await session(redis);
  const told = new Set();
  await subscriber.subscribe('done');
  subscriber.on('message', (channel, name) => told.add(name));
  await redis.xgroup('CREATE', 'jobs', 'group', '$', 'MKSTREAM');
  const add = name => redis.xadd('jobs', '*', 'name', name);

  const jobs = s.firstJobs();
  await Promise.all(['hang-0', ...jobs.plain, ...jobs.flaky, ...jobs.doomed].map(add));
  await redis.zadd('later', ...jobs.later.flatMap(name => [jobs.due, name]));
  s.startWorkers(3);

  await s.killWorkerInTheMiddleOf('hang-0');
  s.startWorker();
  const succeeding = [...jobs.succeeding, ...jobs.hang];
  await s.until('the first jobs are done', () => s.allDone(succeeding));
  const pending = async () => (await redis.xpending('jobs', 'group'))[0];
  await s.until('nothing is pending', async () => await pending() === 0);
  s.checkFirstJobs(jobs, { attempts: 3 });
  const results = await redis.hmget('results', ...succeeding);
  s.check('every result is stored', succeeding.every((name, i) => results[i] === `result of ${name}`));
  await s.until('every result was told', () => succeeding.every(name => told.has(name)));
  s.check('the doomed jobs are dead', (await redis.lrange('dead', 0, -1)).sort().join() === jobs.doomed.join());

  const wave = [...s.names('plain-wave', s.fast ? 30 : 60), ...s.names('flaky-wave', 10)];
  const acknowledged = await s.addThroughServerKill(wave, add);
  await s.until('what was acknowledged is done', () => s.allDone(acknowledged));
  s.checkWave(acknowledged, 4);     // the fourth: an XADD that is sent again after a reconnection
  await s.until('nothing is pending', async () => await pending() === 0);
  await s.finish();
}

if (s.isWorker) worker();
else story().catch(s.fail);
