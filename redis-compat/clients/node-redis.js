// node-redis, with a small queue of our own on lists (see README, "The little queue"), and a session of
// what else the client does, in RESP2 and RESP3.
'use strict';
const s = require('./lib/scenario');
const { createClient, defineScript } = require('redis');

async function open(RESP = 3) {
  const client = createClient({
    RESP, socket: { host: '127.0.0.1', port: s.port, reconnectStrategy: 50 }, scripts: { moveDue: defineScript({
      NUMBER_OF_KEYS: 2,
      SCRIPT: `
        local due = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, 10)
        if #due > 0 then
          redis.call('ZREM', KEYS[1], unpack(due))
          redis.call('LPUSH', KEYS[2], unpack(due))
        end
        return #due`,
      parseCommand: (parser, from, to, now) => { parser.pushKey(from); parser.pushKey(to); parser.push(String(now)); },
      transformReply: undefined,
    }) },
  });
  client.on('error', () => {});
  return client.connect();
}

// What this worker has in hand is in a list of its own, which outlives it.
async function worker() {
  const client = await open(), mine = `hand:${process.pid}`;
  await client.sAdd('hands', mine);
  const turn = async () => {
    await client.moveDue('later', 'jobs', Date.now());
    const left = await client.lIndex(mine, 0);          // by an error in the middle
    const name = left || await client.blMove('jobs', mine, 'RIGHT', 'LEFT', 0.05);
    if (!name) return;
    const result = await s.perform(name).catch(() => null);
    const end = client.multi().lRem(mine, 1, name);
    if (result) end.hSet('results', name, result).publish('done', name);
    else if (await client.hIncrBy('failures', name, 1) < 3) end.zAdd('later', { score: Date.now() + 50, value: name });
    else end.rPush('dead', name);
    await end.exec();
  };
  for (;;) await turn().catch(() => s.sleep(50));
}

async function session(client, RESP) {
  const said = text => `${text} (RESP${RESP})`;
  const replies = await client.multi().set('a', '1').incr('a').get('a').exec();
  s.check(said('a transaction answers in order'), replies.join() === 'OK,2,2');
  await client.hSet('hash', { one: '1', two: '2' });
  s.check(said('a hash comes as an object'), JSON.stringify(await client.hGetAll('hash')) === '{"one":"1","two":"2"}');
  await client.zAdd('scores', [{ score: 1.5, value: 'half' }, { score: Infinity, value: 'all' }]);
  s.check(said('scores come as numbers'), JSON.stringify(await client.zRangeWithScores('scores', 0, 0)) ===
    '[{"value":"half","score":1.5}]' && await client.zScore('scores', 'all') === Infinity);
  s.check(said('what is not there is null'), await client.get('nothing') === null);
  await client.sAdd('set', Array.from({ length: 300 }, (_, i) => `member-${i}`));
  const seen = new Set();
  for await (const members of client.sScanIterator('set', { COUNT: 50 })) members.forEach(member => seen.add(member));
  s.check(said('SSCAN sees every member'), seen.size === 300, seen.size);
  await client.xAdd('stream', '*', { field: 'value' });
  const read = await client.xRead({ key: 'stream', id: '0' }, { COUNT: 1 });
  s.check(said('a stream is read'), read[0].name === 'stream' && read[0].messages[0].message.field === 'value');
  const wrong = await client.lPush('a', '1').catch(problem => problem.message);
  s.check(said('errors are as they are in Redis'), /^WRONGTYPE /.test(wrong), wrong);
  const blocking = await client.duplicate().connect();
  const popped = blocking.brPop('empty', 0);
  await client.lPush('empty', 'woken');
  s.check(said('a blocked pop is woken'), (await popped).element === 'woken');
  const subscriber = await client.duplicate().connect();
  let hear;
  const heard = new Promise(resolve => { hear = resolve; });
  await subscriber.pSubscribe('news.*', (message, channel) => hear(`${channel} ${message}`));
  await client.publish('news.today', 'sun');
  s.check(said('a pattern hears'), await heard === 'news.today sun');
  if (RESP === 3) s.check('a RESP3 subscriber may go on asking', await subscriber.get('a') === '2');
  for (const other of [blocking, subscriber]) other.destroy();
  await client.del(['a', 'hash', 'scores', 'set', 'stream']);
}

async function story() {
  s.library('redis');
  s.promise('at least once, our own queue on lists');
  const client = await open();
  await session(await open(2), 2);
  await session(client, 3);
  const told = new Set();
  await (await open()).subscribe('done', name => told.add(name));
  const add = name => client.lPush('jobs', name);

  const jobs = s.firstJobs();
  await Promise.all(['hang-0', ...jobs.plain, ...jobs.flaky, ...jobs.doomed].map(add));
  await client.zAdd('later', jobs.later.map(name => ({ score: jobs.due, value: name })));
  s.startWorkers(3);

  await s.killWorkerInTheMiddleOf('hang-0');
  await client.lMove(`hand:${s.noted('start', 'hang-0')[0].pid}`, 'jobs', 'LEFT', 'RIGHT');    // found by whoever watches the workers
  s.startWorker();
  const succeeding = [...jobs.succeeding, ...jobs.hang];
  await s.until('the first jobs are done', () => s.allDone(succeeding));
  await s.until('the doomed jobs are dead', async () => await client.lLen('dead') === jobs.doomed.length);
  s.checkFirstJobs(jobs, { attempts: 3 });
  await s.until('every result was told', () => succeeding.every(name => told.has(name)));
  const results = await client.hmGet('results', succeeding);
  s.check('every result is stored', succeeding.every((name, i) => results[i] === `result of ${name}`));

  const wave = [...s.names('plain-wave', s.fast ? 30 : 60), ...s.names('flaky-wave', 10)];
  const acknowledged = await s.addThroughServerKill(wave, add);
  await s.until('what was acknowledged is done', () => s.allDone(acknowledged));
  s.checkWave(acknowledged, 3);
  const left = async () => {
    let count = await client.lLen('jobs') + await client.zCard('later');
    for (const hand of await client.sMembers('hands')) count += await client.lLen(hand);
    return count;
  };
  await s.until('nothing is left', async () => await left() === 0);
  await s.finish();
}

(s.isWorker ? worker() : story()).catch(s.isWorker ? console.error : s.fail);
