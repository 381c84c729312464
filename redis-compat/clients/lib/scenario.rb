# What the Ruby scenarios share: the jobs, the side file in which workers note what they did (never in the
# server under test), starting and killing workers, killing the server, checking. The name of a job says
# what becomes of it; see README.md.
require 'rubygems'

module Scenario
  PORT = Integer(ENV.fetch('PORT'))
  URL = "redis://127.0.0.1:#{PORT}/0"
  FAST = ENV['FAST'] == '1'
  SERVER_DIES = ENV['KILL'] == '1'
  SIDE = File.join(ENV.fetch('WORK'), 'effects')
  PATIENCE = 60     # seconds, for what must come; how long it takes is not tested
  Effect = Struct.new(:event, :name, :pid, :time)

  module_function

  def names(kind, count) = (0...count).map { |i| "#{kind}-#{i}" }

  # --- the side file: one line "event name pid time" per effect, appended whole ----------------------------

  def note(event, name)
    line = format("%s %s %d %.3f\n", event, name, Process.pid, Time.now.to_f)
    File.open(SIDE, File::WRONLY | File::APPEND | File::CREAT) { |side| side.syswrite(line) }
  end

  def noted(event, name = nil)
    return [] unless File.exist?(SIDE)

    effects = File.readlines(SIDE).map { |line| e, n, pid, time = line.split; Effect.new(e, n, pid.to_i, time.to_f) }
    effects.select { |effect| effect.event == event && [nil, effect.name].include?(name) }
  end

  def times(event, name) = noted(event, name).size

  # What every worker does with a job.
  def perform(name)
    kind = name.split('-').first
    first = kind == 'plain' || times('start', name).zero?
    note('start', name)
    sleep if kind == 'hang' && first
    if kind == 'doomed' || (kind == 'flaky' && first)
      note('fail', name)
      raise "#{name} fails"
    end
    sleep 0.003
    note('done', name)
    "result of #{name}"
  end

  # --- the scenario's side ----------------------------------------------------------------------------------

  def say(line)
    $stdout.puts(line)
    $stdout.flush
  end

  def check(what, holds, detail = '')
    @failed ||= !holds
    say(holds ? "ok #{what}" : "not ok #{what}: #{detail}")
  end

  def wait_until(what, limit = PATIENCE)
    give_up = Time.now + limit
    until yield
      return check(what, false, 'it never came') if Time.now > give_up

      sleep 0.03
    end
    true
  end

  def library(*gems) = say("version #{gems.map { |name| "#{name} #{Gem.loaded_specs[name].version}" }.join(', ')}")
  def promise(text) = say("promise #{text}")

  def start_worker(*command)
    command = ['ruby', $PROGRAM_NAME, 'worker'] if command.empty?
    (@workers ||= []) << Process.spawn(*command, in: File::NULL, out: :err)
  end

  def kill_worker_in_the_middle_of(name)
    return unless wait_until("#{name} is begun") { times('start', name).positive? }

    pid = noted('start', name).first.pid
    Process.kill('KILL', pid)
    pid
  end

  def kill_server
    say('kill server')
    $stdin.gets
  end

  # Adds the jobs one after the other; when half are added, faster than they are performed, the server dies
  # (against Sluice), and the adding goes on. Returns the names whose adding was acknowledged.
  def add_through_server_kill(jobs)
    acknowledged = []
    jobs.each do |name|
      kill_server if SERVER_DIES && acknowledged.size == jobs.size / 2
      begin
        yield name
        acknowledged << name
      rescue StandardError => e     # whatever the library makes of a lost connection
        say("# adding #{name}: #{e.message}")
        sleep 0.1
      end
    end
    acknowledged
  end

  def every(what, jobs, &holds)
    bad = jobs.reject(&holds)
    check(what, bad.empty?, bad.first(5).map { |name|
      "#{name} (start #{times('start', name)}, fail #{times('fail', name)}, done #{times('done', name)})" }.join(', '))
  end

  def all_done?(jobs) = (jobs - noted('done').map(&:name)).empty?

  # The jobs of the first part.
  class FirstJobs
    attr_reader :plain, :flaky, :doomed, :later, :hang, :due

    def initialize
      @plain, @flaky, @doomed = Scenario.names('plain', FAST ? 40 : 70), Scenario.names('flaky', 10), Scenario.names('doomed', 5)
      @later, @hang = Scenario.names('later', 10), Scenario.names('hang', 1)
      @due = Time.now.to_f + 2
    end

    def succeeding = plain + flaky + later

    # What must hold when all is quiet again.
    def check(attempts:, hang_runs_again: true)
      s = Scenario
      s.every('plain jobs ran once', plain) { |n| s.times('start', n) == 1 && s.times('done', n) == 1 }
      s.every('flaky jobs ran twice', flaky) { |n| s.times('fail', n) == 1 && s.times('done', n) == 1 }
      s.every("doomed jobs ran #{attempts} times", doomed) { |n| s.times('fail', n) == attempts && s.times('done', n).zero? }
      s.every('later jobs ran once, not before they were due', later) { |n|
        s.times('done', n) == 1 && s.noted('start', n).first.time >= due - 0.005 }
      if hang_runs_again
        s.every("the killed worker's job ran again", hang) { |n| s.times('start', n) == 2 && s.times('done', n) == 1 }
      else
        s.every("the killed worker's job did not run again", hang) { |n| s.times('start', n) == 1 }
      end
    end
  end

  # After a server kill: what was acknowledged is done; run twice is at most what workers had in hand. Where a
  # library cannot promise more, workers may have lost one job each in the moment of taking it.
  def check_wave(acknowledged, in_hand:, may_be_lost: 0)
    lost = acknowledged.reject { |n| times('done', n).positive? }
    most = SERVER_DIES ? may_be_lost : 0
    but = most.zero? ? '' : ", but for #{most} at most that were just being taken"
    check("every acknowledged job is done#{but}", lost.size <= most, lost.first(8).join(' '))
    again = acknowledged.sum { |n| [0, times('done', n) - 1].max }
    most = SERVER_DIES ? in_hand : 0
    check("at most #{most} jobs ran twice", again <= most, "#{again} did")
  end

  def finish
    (@workers || []).each { |pid| Process.kill('KILL', pid) rescue nil }
    exit(@failed ? 1 : 0)
  end
end
