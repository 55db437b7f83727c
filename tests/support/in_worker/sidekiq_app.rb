# Jobs that real Sidekiq processes run in the tests: each notes in a file what happened to it.
require "sidekiq"
require "sidekiq/api" if ARGV.first == "--list"

class Until
  include (defined?(Sidekiq::Job) ? Sidekiq::Job : Sidekiq::Worker)

  # Runs until the gate's file is there.
  def perform(notes, gate)
    note(notes, "start")
    sleep 0.02 until File.exist?(gate)
    note(notes, "end")
  end

  def note(path, word)
    File.write(path, "#{word} #{Process.pid} #{Time.now.to_f}\n", mode: "a")
  end
end

# What the dashboard shows, without the cleaning that it does on the way.
if ARGV.first == "--list"
  require "json"
  puts JSON.generate(Sidekiq::ProcessSet.new(false).map { |one| one["identity"] })
end
