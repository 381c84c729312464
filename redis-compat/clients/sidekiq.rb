# Sidekiq with its basic fetch: at most once between BRPOP and the end of a job. The job of a killed process is
# gone; a job whose end the server did not see is not run again.
require_relative 'lib/scenario'
require 'sidekiq'
require 'sidekiq/api'

S = Scenario
Sidekiq.configure_server do |config|
  config.redis = { url: S::URL }
  config.options[:poll_interval_average] = 0.3
  config.logger.level = Logger::WARN
end
Sidekiq.configure_client { |config| config.redis = { url: S::URL } }

class Perform
  include Sidekiq::Job
  sidekiq_options queue: 'jobs', retry: 2

  def perform(name) = S.perform(name)
end

def start_worker = S.start_worker('sidekiq', '-r', "./#{File.basename(__FILE__)}", '-q', 'jobs', '-q', 'default', '-c', '1')

# What is to be tried again in half a minute is tried now, as the button of Sidekiq's dashboard does.
def retry_now = Sidekiq::RetrySet.new.each(&:add_to_queue)

def story
  S.library('sidekiq', 'redis')
  S.promise("a killed worker's job is lost (basic fetch)")
  jobs = S::FirstJobs.new
  Perform.perform_async('hang-0')
  Sidekiq::Client.push_bulk('class' => Perform, 'args' => jobs.plain.map { |name| [name] })
  (jobs.flaky + jobs.doomed).each { |name| Perform.perform_async(name) }
  jobs.later.each { |name| Perform.perform_at(jobs.due, name) }
  S.check('jobs that are due later are scheduled', Sidekiq::ScheduledSet.new.size == jobs.later.size)
  3.times { start_worker }

  S.kill_worker_in_the_middle_of('hang-0')
  start_worker
  dead = Sidekiq::DeadSet.new
  S.wait_until('the first jobs are done, or dead') do
    retry_now
    S.all_done?(jobs.succeeding) && dead.size == jobs.doomed.size
  end
  jobs.check(attempts: 3, hang_runs_again: false)
  S.check('the dead say what they died of', dead.map { |job| job['error_message'] }.sort == jobs.doomed.map { |n| "#{n} fails" })
  S.wait_until('the processes are known') { Sidekiq::ProcessSet.new.size >= 3 }
  S.wait_until('what was done is counted') { Sidekiq::Stats.new.processed >= jobs.succeeding.size }

  # At most once: a job that a process had taken when the server died may be lost, one per process.
  wave = S.names('plain-wave', S::FAST ? 30 : 60) + S.names('flaky-wave', 10)
  acknowledged = S.add_through_server_kill(wave) { |name| Perform.perform_async(name) or raise 'refused' }
  S.wait_until('the queue is empty') do
    retry_now
    [Sidekiq::Queue.new('jobs').size, Sidekiq::RetrySet.new.size, Sidekiq::ScheduledSet.new.size].sum.zero?
  end
  S.wait_until('the last jobs are done', 5) { S.all_done?(acknowledged) } unless S::SERVER_DIES
  sleep 1
  S.check_wave(acknowledged, in_hand: 0, may_be_lost: 3)
  S.check('nothing else is dead', dead.size == jobs.doomed.size)
  S.finish
end

story if $PROGRAM_NAME == __FILE__
