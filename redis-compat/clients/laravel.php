<?php
// Laravel's queue, over phpredis or predis: a job that was reserved and neither deleted nor released comes
// back after `retry_after`: at least once.

require __DIR__ . '/lib/scenario.php';
require 'Illuminate/Queue/autoload.php';
require 'Illuminate/Redis/autoload.php';
require 'Illuminate/Events/autoload.php';
require 'Predis/autoload.php';

use Illuminate\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Events\Dispatcher;
use Illuminate\Queue\Capsule\Manager;
use Illuminate\Queue\Worker;
use Illuminate\Queue\WorkerOptions;
use Illuminate\Redis\RedisManager;
use Scenario as S;

class Perform
{
    public function fire($job, array $data): void
    {
        S::perform($data['name']);
        $job->delete();
    }

    public function failed(array $data): void
    {
        S::note('dead', $data['name']);
    }
}

class Reports implements ExceptionHandler
{
    public function report(Throwable $e) { fwrite(STDERR, $e->getMessage() . "\n"); }
    public function shouldReport(Throwable $e) { return true; }
    public function render($request, Throwable $e) { return ''; }
    public function renderForConsole($output, Throwable $e) {}
}

function open(string $client): Manager
{
    $container = new Container();
    $container->instance('events', new Dispatcher($container));
    $container->instance('redis', new RedisManager($container, $client, [
        'default' => ['host' => '127.0.0.1', 'port' => S::port(), 'database' => 0],
    ]));
    $queue = new Manager($container);
    $queue->addConnection(['driver' => 'redis', 'connection' => 'default', 'queue' => 'jobs', 'retry_after' => 2, 'block_for' => 1]);
    return $queue;
}

function work(Manager $queue): void
{
    $options = new WorkerOptions('default', backoff: 0, sleep: 0, maxTries: 3);
    $worker = new Worker($queue->getQueueManager(), $queue->getContainer()['events'], new Reports(), fn () => false);
    $worker->daemon('default', 'jobs', $options);
}

function story(string $client, Manager $manager): void
{
    $version = trim(shell_exec('dpkg-query -W -f \'${Version}\' php-illuminate-queue') ?? '');
    S::say('version illuminate/queue ' . preg_replace('/[+-].*/', '', $version) . ', ' .
        ($client === 'phpredis' ? 'phpredis ' . phpversion('redis') : 'predis ' . Predis\Client::VERSION));
    S::say("promise a killed worker's job runs again (retry_after)");
    $queue = $manager->getConnection();
    $add = fn ($name) => $queue->push('Perform', ['name' => $name]);
    $jobs = S::firstJobs();
    $add('hang-0');
    $queue->bulk(array_fill(0, 10, 'Perform'), ['name' => 'plain-bulk']);
    array_map($add, [...$jobs->plain, ...$jobs->flaky, ...$jobs->doomed]);
    foreach ($jobs->later as $name) {
        $queue->later(new DateTimeImmutable("@$jobs->due"), 'Perform', ['name' => $name]);
    }
    S::check('the size counts what waits and what is late', $queue->size() === 11 + count($jobs->succeeding) - 1 + count($jobs->doomed));
    for ($i = 0; $i < 3; $i++) S::startWorker();

    S::killWorkerInTheMiddleOf('hang-0');
    S::startWorker();
    S::until('the first jobs are done', fn () => S::allDone($jobs->succeeding));
    S::until('the doomed jobs are dead', fn () => count(S::noted('dead')) === count($jobs->doomed));
    S::until('the queue is empty', fn () => $queue->size() === 0);
    S::checkFirstJobs($jobs, attempts: 3);
    S::check('all of a bulk ran', S::times('done', 'plain-bulk') === 10);

    $wave = [...S::names('plain-wave', S::fast() ? 30 : 60), ...S::names('flaky-wave', 10)];
    $acknowledged = S::addThroughServerKill($wave, $add);
    S::until('what was acknowledged is done', function () use ($acknowledged) {
        S::restartDeadWorkers();
        return S::allDone($acknowledged);
    });
    S::checkWave($acknowledged, 3);
    S::until('nothing is left', fn () => $queue->size() === 0);
    S::check('nothing else is dead', count(S::noted('dead')) === count($jobs->doomed));
    S::finish();
}

$manager = open($argv[1]);
if (($argv[2] ?? '') === 'worker') work($manager);
else story($argv[1], $manager);
