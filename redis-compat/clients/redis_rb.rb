# redis-rb, with a small queue of our own on a stream (see README, "The little queue"), and a session of what
# else the client does.
require_relative 'lib/scenario'
require 'redis'

S = Scenario

MOVE_DUE = <<~LUA
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 10)
  for _, name in ipairs(due) do
    redis.call('ZREM', KEYS[1], name)
    redis.call('XADD', KEYS[2], '*', 'name', name)
  end
  return #due
LUA

def open_client = Redis.new(url: S::URL, reconnect_attempts: 20, reconnect_delay: 0.05)

def turn(redis, me)
  redis.eval(MOVE_DUE, keys: %w[later jobs], argv: [Time.now.to_f])
  entries = redis.xautoclaim('jobs', 'group', me, 1000, '0', count: 1)['entries']
  entries = redis.xreadgroup('group', me, 'jobs', '>', count: 1, block: 50)['jobs'] || [] if entries.empty?
  entries.each do |id, fields|
    name = fields['name']
    deliveries = redis.xpending('jobs', 'group', id, id, 1).first['count']
    result = begin S.perform(name) rescue nil end
    next unless result || deliveries >= 3

    redis.multi do |end_of_job|
      result ? end_of_job.hset('results', name, result) : end_of_job.rpush('dead', name)
      end_of_job.xack('jobs', 'group', id)
      end_of_job.publish('done', name)
    end
  end
end

def worker
  redis = open_client
  loop do
    turn(redis, "worker-#{Process.pid}")
  rescue Redis::BaseConnectionError
    sleep 0.05
  end
end

def session(redis)
  S.check('a pipeline answers in order', redis.pipelined { |p| p.set('a', 1); p.incr('a'); p.get('a') } == ['OK', 2, '2'])
  redis.hset('hash', 'one', '1', 'two', '2')
  S.check('a hash comes as a hash', redis.hgetall('hash') == { 'one' => '1', 'two' => '2' })
  redis.zadd('scores', [[1.5, 'half'], [Float::INFINITY, 'all']])
  S.check('scores come as floats', redis.zrange('scores', 0, -1, with_scores: true) == [['half', 1.5], ['all', Float::INFINITY]])
  redis.sadd('set', (0...300).to_a)
  S.check('SSCAN sees every member', redis.sscan_each('set', count: 50).map(&:to_i).uniq.size == 300)
  wrong = begin redis.lpush('a', 1) rescue $!.message end
  S.check('errors are as they are in Redis', wrong.to_s.start_with?('WRONGTYPE Operation against'), wrong)
  redis.watch('a') do
    open_client.set('a', 'changed')
    S.check('WATCH undoes the transaction', redis.multi { |m| m.set('a', 'mine') }.nil?)
  end
  popped = Thread.new { open_client.blpop('empty', timeout: 10) }
  redis.rpush('empty', 'woken')
  S.check('a blocked pop is woken', popped.value == %w[empty woken])
  heard = Queue.new
  Thread.new do
    open_client.psubscribe('news.*') do |on|
      on.psubscribe { heard << :ready }
      on.pmessage { |*message| heard << message }
    end
  end
  heard.pop
  redis.publish('news.today', 'sun')
  S.check('a pattern hears', heard.pop == %w[news.* news.today sun])
end

def story
  S.library('redis')
  S.promise('at least once, our own queue on a stream')
  redis = open_client
  session(redis)
  redis.xgroup(:create, 'jobs', 'group', '$', mkstream: true)
  add = ->(name) { redis.xadd('jobs', { name: name }) }

  jobs = S::FirstJobs.new
  ['hang-0', *jobs.plain, *jobs.flaky, *jobs.doomed].each(&add)
  redis.zadd('later', jobs.later.map { |name| [jobs.due, name] })
  3.times { S.start_worker }

  S.kill_worker_in_the_middle_of('hang-0')
  S.start_worker
  succeeding = jobs.succeeding + jobs.hang
  S.wait_until('the first jobs are done') { S.all_done?(succeeding) }
  S.wait_until('nothing is pending') { redis.xpending('jobs', 'group')['size'].zero? }
  jobs.check(attempts: 3)
  S.check('every result is stored', redis.mapped_hmget('results', *succeeding).all? { |name, result| result == "result of #{name}" })
  S.check('the doomed jobs are dead', redis.lrange('dead', 0, -1).sort == jobs.doomed)

  wave = S.names('plain-wave', S::FAST ? 30 : 60) + S.names('flaky-wave', 10)
  acknowledged = S.add_through_server_kill(wave, &add)
  S.wait_until('what was acknowledged is done') { S.all_done?(acknowledged) }
  S.check_wave(acknowledged, in_hand: 4)      # the fourth: an XADD that is sent again after a reconnection
  S.wait_until('nothing is pending') { redis.xpending('jobs', 'group')['size'].zero? }
  S.finish
end

ARGV == ['worker'] ? worker : story
