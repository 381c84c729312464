<?php
// phpredis, with a small queue of our own on lists (see README, "The little queue"), and a session of what
// else the client does.

require __DIR__ . '/lib/scenario.php';

use Scenario as S;

const MOVE_DUE = <<<'LUA'
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 10)
if #due > 0 then
  redis.call('ZREM', KEYS[1], unpack(due))
  redis.call('LPUSH', KEYS[2], unpack(due))
end
return #due
LUA;

function open(): Redis
{
    $redis = new Redis();
    $redis->connect('127.0.0.1', S::port());
    return $redis;
}

/** What this worker has in hand is in a list of its own, which outlives it. */
function turn(Redis $redis, string $mine): void
{
    $redis->eval(MOVE_DUE, ['later', 'jobs', microtime(true)], 2);
    $name = $redis->lIndex($mine, 0) ?: $redis->brpoplpush('jobs', $mine, 1);
    if (!$name) return;
    try {
        $result = S::perform($name);
    } catch (RuntimeException $failure) {
        $result = null;
    }
    $failures = $result ? 0 : $redis->hIncrBy('failures', $name, 1);
    $end = $redis->multi()->lRem($mine, $name, 1);
    if ($result) $end->hSet('results', $name, $result)->publish('done', $name);
    elseif ($failures < 3) $end->zAdd('later', microtime(true), $name);
    else $end->rPush('dead', $name);
    $end->exec();
}

function work(): void
{
    for ($redis = null; ;) {
        try {
            $redis ??= open();
            $mine = 'hand:' . getmypid();
            $redis->sAdd('hands', $mine);
            while (true) turn($redis, $mine);
        } catch (RedisException $lost) {
            $redis = null;
            usleep(50000);
        }
    }
}

function session(Redis $redis): void
{
    S::check('a pipeline answers in order', $redis->pipeline()->set('a', 1)->incr('a')->get('a')->exec() === [true, 2, '2']);
    $redis->hMSet('hash', ['one' => 1, 'two' => 2]);
    S::check('a hash comes as an array', $redis->hGetAll('hash') === ['one' => '1', 'two' => '2']);
    $redis->zAdd('scores', 1.5, 'half', INF, 'all');
    S::check('scores come as floats', $redis->zRange('scores', 0, -1, true) === ['half' => 1.5, 'all' => INF]);
    $redis->sAdd('set', ...range(1, 300));
    $seen = [];
    for ($at = null; ($members = $redis->sScan('set', $at)) !== false;) array_push($seen, ...$members);
    S::check('SSCAN sees every member', count(array_unique($seen)) === 300);
    $redis->lPush('a', 1);
    S::check('errors are as they are in Redis', str_starts_with($redis->getLastError(), 'WRONGTYPE Operation against'));
    $redis->watch('a');
    open()->set('a', 'changed');
    S::check('WATCH undoes the transaction', $redis->multi()->set('a', 'mine')->exec() === false);
    $redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
    $redis->set('object', ['deep' => ['value' => 1.5]]);
    S::check('a serialized value comes back', $redis->get('object') === ['deep' => ['value' => 1.5]]);
    $redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);
    $redis->xGroup('CREATE', 'stream', 'group', '0', true);
    $id = $redis->xAdd('stream', '*', ['field' => 'value']);
    S::check('a group reads', $redis->xReadGroup('group', 'me', ['stream' => '>']) === ['stream' => [$id => ['field' => 'value']]]);
    S::check('what was read is acknowledged', $redis->xAck('stream', 'group', [$id]) === 1);
}

function story(): void
{
    S::say('version phpredis ' . phpversion('redis'));
    S::say('promise at least once, our own queue on lists');
    $redis = open();
    session($redis);
    $add = fn ($name) => open()->lPush('jobs', $name) ?: throw new RuntimeException('no answer');
    $jobs = S::firstJobs();
    array_map($add, ['hang-0', ...$jobs->plain, ...$jobs->flaky, ...$jobs->doomed]);
    foreach ($jobs->later as $name) $redis->zAdd('later', $jobs->due, $name);
    for ($i = 0; $i < 3; $i++) S::startWorker();

    $pid = S::killWorkerInTheMiddleOf('hang-0');
    $redis->rawCommand('LMOVE', "hand:$pid", 'jobs', 'LEFT', 'RIGHT');    // as whoever watches the workers would
    S::startWorker();
    S::until('the first jobs are done', fn () => S::allDone($jobs->succeeding));
    S::until('the doomed jobs are dead', fn () => $redis->lLen('dead') === count($jobs->doomed));
    S::checkFirstJobs($jobs, attempts: 3);
    S::until('every result is stored', fn () => $redis->hMGet('results', $jobs->succeeding) ===
        array_combine($jobs->succeeding, array_map(fn ($name) => "result of $name", $jobs->succeeding)));

    $wave = [...S::names('plain-wave', S::fast() ? 30 : 60), ...S::names('flaky-wave', 10)];
    $acknowledged = S::addThroughServerKill($wave, $add);
    S::until('what was acknowledged is done', fn () => S::allDone($acknowledged));
    S::checkWave($acknowledged, 3);
    $redis = open();
    S::until('nothing is left', fn () => $redis->lLen('jobs') + $redis->zCard('later') +
        array_sum(array_map([$redis, 'lLen'], $redis->sMembers('hands'))) === 0);
    S::finish();
}

if (($argv[1] ?? '') === 'worker') work();
else story();
