<?php
// What the PHP scenarios share: the jobs, the side file in which workers note what they did (never in the
// server under test), starting and killing workers, killing the server, checking. The name of a job says
// what becomes of it; see README.md.

error_reporting(E_ALL & ~E_DEPRECATED & ~E_WARNING & ~E_NOTICE);
ini_set('display_errors', 'stderr');

final class Scenario
{
    private const PATIENCE = 60;    // seconds, for what must come; how long it takes is not tested
    private static array $workers = [];
    private static bool $failed = false;

    public static function port(): int { return (int) getenv('PORT'); }
    public static function fast(): bool { return getenv('FAST') === '1'; }
    public static function serverDies(): bool { return getenv('KILL') === '1'; }

    public static function names(string $kind, int $count): array
    {
        return array_map(fn ($i) => "$kind-$i", range(0, $count - 1));
    }

    // --- the side file: one line "event name pid time" per effect, appended whole -------------------------

    private static function side(): string { return getenv('WORK') . '/effects'; }

    public static function note(string $event, string $name): void
    {
        file_put_contents(self::side(), sprintf("%s %s %d %.3f\n", $event, $name, getmypid(), microtime(true)), FILE_APPEND);
    }

    /** Lists of [event, name, pid, time]. */
    public static function noted(string $event, ?string $name = null): array
    {
        $effects = array_map(fn ($line) => explode(' ', $line), @file(self::side(), FILE_IGNORE_NEW_LINES) ?: []);
        return array_values(array_filter($effects, fn ($e) => $e[0] === $event && ($name === null || $e[1] === $name)));
    }

    public static function times(string $event, string $name): int { return count(self::noted($event, $name)); }

    /** What every worker does with a job. */
    public static function perform(string $name): string
    {
        $kind = explode('-', $name)[0];
        $first = $kind === 'plain' || self::times('start', $name) === 0;
        self::note('start', $name);
        while ($kind === 'hang' && $first) sleep(1000);
        if ($kind === 'doomed' || ($kind === 'flaky' && $first)) {
            self::note('fail', $name);
            throw new RuntimeException("$name fails");
        }
        usleep(3000);
        self::note('done', $name);
        return "result of $name";
    }

    // --- the scenario's side --------------------------------------------------------------------------------

    public static function say(string $line): void { fwrite(STDOUT, "$line\n"); }

    public static function check(string $what, bool $holds, string $detail = ''): void
    {
        self::$failed = self::$failed || !$holds;
        self::say($holds ? "ok $what" : "not ok $what: $detail");
    }

    public static function until(string $what, callable $holds): bool
    {
        for ($end = microtime(true) + self::PATIENCE; !$holds(); usleep(30000)) {
            if (microtime(true) > $end) {
                self::check($what, false, 'it never came');
                return false;
            }
        }
        return true;
    }

    public static function startWorker(): void
    {
        $command = array_merge([PHP_BINARY], $_SERVER['argv'], ['worker']);
        self::$workers[] = proc_open($command, [['file', '/dev/null', 'r'], STDERR, STDERR], $pipes);
    }

    /** What a supervisor does. */
    public static function restartDeadWorkers(): void
    {
        $living = array_filter(self::$workers, fn ($worker) => proc_get_status($worker)['running']);
        $dead = count(self::$workers) - count($living);
        self::$workers = $living;
        for (; $dead > 0; $dead--) self::startWorker();
    }

    public static function killWorkerInTheMiddleOf(string $name): int
    {
        self::until("$name is begun", fn () => self::times('start', $name) > 0);
        $pid = (int) self::noted('start', $name)[0][2];
        posix_kill($pid, SIGKILL);
        return $pid;
    }

    public static function killServer(): void
    {
        self::say('kill server');
        fgets(STDIN);
    }

    /** Adds the jobs one after the other; when half are added, faster than they are performed, the server dies
        (against Sluice), and the adding goes on. Returns the names whose adding was acknowledged. */
    public static function addThroughServerKill(array $jobs, callable $add): array
    {
        $acknowledged = [];
        foreach ($jobs as $name) {
            if (self::serverDies() && count($acknowledged) === intdiv(count($jobs), 2)) self::killServer();
            try {
                $add($name);
                $acknowledged[] = $name;
            } catch (Throwable $problem) {      // whatever the library makes of a lost connection
                self::say("# adding $name: " . $problem->getMessage());
                usleep(100000);
            }
        }
        return $acknowledged;
    }

    public static function every(string $what, array $jobs, callable $holds): void
    {
        $bad = array_filter($jobs, fn ($name) => !$holds($name));
        self::check($what, !$bad, implode(', ', array_map(fn ($name) => sprintf('%s (start %d, fail %d, done %d)', $name,
            self::times('start', $name), self::times('fail', $name), self::times('done', $name)), array_slice($bad, 0, 5))));
    }

    public static function allDone(array $jobs): bool
    {
        return !array_diff($jobs, array_column(self::noted('done'), 1));
    }

    /** The jobs of the first part. */
    public static function firstJobs(): object
    {
        $jobs = (object) [
            'plain' => self::names('plain', self::fast() ? 40 : 70), 'flaky' => self::names('flaky', 10),
            'doomed' => self::names('doomed', 5), 'later' => self::names('later', 10), 'hang' => self::names('hang', 1),
            'due' => ceil(microtime(true) + 1),
        ];
        $jobs->succeeding = [...$jobs->plain, ...$jobs->flaky, ...$jobs->later, ...$jobs->hang];
        return $jobs;
    }

    /** What must hold when all is quiet again. */
    public static function checkFirstJobs(object $jobs, int $attempts): void
    {
        $times = fn ($name) => [self::times('start', $name), self::times('fail', $name), self::times('done', $name)];
        self::every('plain jobs ran once', $jobs->plain, fn ($name) => $times($name) === [1, 0, 1]);
        self::every('flaky jobs ran twice', $jobs->flaky, fn ($name) => $times($name) === [2, 1, 1]);
        self::every("doomed jobs ran $attempts times", $jobs->doomed, fn ($name) => $times($name) === [$attempts, $attempts, 0]);
        self::every('later jobs ran once, not before they were due', $jobs->later, fn ($name) =>
            $times($name) === [1, 0, 1] && (float) self::noted('start', $name)[0][3] >= $jobs->due - 0.005);
        self::every("the killed worker's job ran again", $jobs->hang, fn ($name) => $times($name) === [2, 0, 1]);
    }

    /** After a server kill: what was acknowledged is done; run twice is at most what workers had in hand. */
    public static function checkWave(array $acknowledged, int $inHand): void
    {
        self::every('every acknowledged job is done', $acknowledged, fn ($name) => self::times('done', $name) > 0);
        $again = array_sum(array_map(fn ($name) => max(0, self::times('done', $name) - 1), $acknowledged));
        $most = self::serverDies() ? $inHand : 0;
        self::check("at most $most jobs ran twice", $again <= $most, "$again did");
    }

    public static function finish(): void
    {
        foreach (self::$workers as $worker) proc_terminate($worker, SIGKILL);
        exit(self::$failed ? 1 : 0);
    }
}
