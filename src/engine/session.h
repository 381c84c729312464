// One client as the engine sees it: what it may do, what it has asked for, what it waits for. No
// socket: whoever serves the client (a connection, a test, a script) reads `out`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "resp/buffer.h"
#include "resp/reply_writer.h"
#include "src/engine/acl_user.h"
#include "src/engine/pubsub.h"
#include "src/engine/row.h"
#include "store/lease.h"
#include "store/stream_id.h"

namespace sluice {

// Arguments that outlive the bytes they came in: one allocation for all.
class OwnedArgs {
 public:
  OwnedArgs() = default;
  explicit OwnedArgs(Args args);
  OwnedArgs(OwnedArgs&&) = default;
  OwnedArgs& operator=(OwnedArgs&&) = default;
  Args args() const { return views_; }
  size_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<char[]> storage_;
  std::vector<std::string_view> views_;
  size_t bytes_ = 0;
};

enum class TimeoutReply : uint8_t { kNull, kNullArray, kRaw };

// Why a session executes nothing further for now.
struct Blocked {
  enum class Reason : uint8_t { kKeys, kPaused };
  Reason reason = Reason::kKeys;
  const Row* row = nullptr;
  OwnedArgs args;
  int db = 0;
  std::vector<std::string> keys;  // each once
  int64_t deadline_us = 0;        // monotonic; 0: none
  TimeoutReply on_timeout = TimeoutReply::kNullArray;
  std::string raw_reply;     // for TimeoutReply::kRaw
  uint64_t order = 0;        // of arrival
  int64_t ask_again_us = 0;  // monotonic; 0: only when a key becomes ready
  // XREADGROUP: the key's disappearance or change of type unblocks too, with an error.
  bool wake_on_removal = false;
};

struct QueuedCommand {
  const Row* row;
  OwnedArgs args;
};

// What a group gave a reader for good, by XREADGROUP NOACK.
struct ReadForGood {
  std::string key, group;
  StreamId cursor;  // of the group, before
  int64_t entries_read;
  StreamId moved_to;  // the cursor afterwards
  std::vector<StreamId> ids;
};

// What a served command has taken for this session and nobody has been told yet: put back when the
// connection turns out to be gone before the reply could be written.
struct PutBack {
  int db = 0;
  std::string key;
  Type type = Type::kList;            // or a sorted set
  std::vector<std::string> elements;  // in the order in which they were popped
  bool left = true;                   // a list's: from which end
  std::vector<uint64_t> deliveries;   // a list's: what it knew of each element
  std::vector<LeaseId> leases;        // in place of elements: these are ended
  std::vector<double> scores;         // a sorted set's: of each element
  std::vector<ReadForGood> reads;     // in place of all that; each has its own key
};

enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext, kSkipping };

struct Session {
  explicit Session(uint64_t session_id) : id(session_id) {}
  Session(const Session&) = delete;

  const uint64_t id;
  resp::Buffer out;
  resp::ReplyWriter reply{&out};

  // Identity, as CLIENT LIST shows it.
  std::string name, address, local_address, library_name, library_version;
  bool is_unix_socket = false;
  int fd = -1;
  int64_t created_ms = 0;
  int64_t active_ms = 0;  // last command
  const Row* last_row = nullptr;
  uint64_t commands = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  // What the connection holds, told by it before CLIENT LIST is answered.
  size_t query_buffer = 0, query_buffer_free = 0, argv_bytes = 0;

  int db = 0;
  // Who it is: never nullptr. Before it has authenticated, that is the default user.
  std::shared_ptr<AclUser> user;
  bool authenticated = false;

  // MULTI
  bool in_multi = false;
  bool exec_aborted = false;  // a command was refused while queueing
  std::vector<QueuedCommand> queue;
  size_t queued_bytes = 0;
  // WATCH
  struct Watch {
    int db;
    std::string key;
    bool expired_already;  // it was past its time when WATCH came
  };
  std::vector<Watch> watches;
  bool watch_broken = false;

  std::unique_ptr<Blocked> blocked;
  std::unique_ptr<PutBack> put_back;

  // There while it listens to anything: then a session of RESP2 may do little else.
  std::unique_ptr<Subscriptions> subscriptions;
  // Messages that came while it was executing a command; they follow the reply.
  resp::Buffer pushes;
  int executing = 0;

  ReplyMode reply_mode = ReplyMode::kOn;
  bool monitor = false;
  bool no_evict = false;
  bool no_touch = false;
  bool close_after_reply = false;  // QUIT, protocol errors
  bool close_now = false;          // CLIENT KILL, output limit
  bool touched = false;            // is in Engine::touched()

  // A script's, which has no client of its own.
  bool is_script = false;
  // Takes the identity of another, and with it what it may do.
  void ActAs(const Session& other) {
    name = other.name;
    address = other.address;
    user = other.user;
    authenticated = other.authenticated;
  }

  // The server's side of it (net's connection, a test's client).
  void* connection = nullptr;
};

}  // namespace sluice
