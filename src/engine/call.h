// One execution of one command: what a handler sees. A handler checks everything first and changes
// afterwards, so an error reply means that nothing was changed; it writes exactly one reply, unless
// it blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/engine/engine.h"
#include "src/engine/session.h"
#include "store/keyspace.h"
#include "store/store.h"

namespace sluice {

// Redis's texts that more than one command says.
namespace errors {
inline constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kSyntax = "ERR syntax error";
inline constexpr std::string_view kNotInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNotFloat = "ERR value is not a valid float";
inline constexpr std::string_view kNoSuchKey = "ERR no such key";
inline constexpr std::string_view kOutOfRange = "ERR index out of range";
}  // namespace errors

class Call {
 public:
  Call(Engine& engine, Session& session, const Row& row, Args args, resp::ReplyWriter reply)
      : engine(engine), session(session), row(row), args(args), reply(reply) {}

  Engine& engine;
  Session& session;
  const Row& row;
  Args args;  // args[0] is the command's name
  resp::ReplyWriter reply;

  // In MULTI's EXEC or a script: a blocking command must not block but answer as on timeout.
  bool deny_blocking = false;
  // The session was blocked in this command and is served now.
  bool retrying = false;

  // Set by scripts, for the statistics: the reply holds an error; it was counted where it arose.
  bool failed = false;
  bool error_counted = false;

  Store& store() { return engine.store(); }
  Env* env() { return &engine.store().env(); }
  Keyspace& keys() { return engine.store().keys(); }
  int64_t now_ms() const { return engine.now_ms(); }
  int db() const { return session.db; }

  // The key, or nullptr when there is none; one whose time has come is deleted first. The key
  // counts as used (OBJECT IDLETIME); a command that does not write counts a hit or a miss.
  Key* Lookup(std::string_view name) { return Look(name, true); }
  // The same for a look that is no use of the key (TYPE, OBJECT, TTL, EXISTS do as Redis does).
  Key* Peek(std::string_view name) { return Look(name, false); }
  // Writing commands that read as well (GETSET) say so.
  void CountLookup(std::string_view name, const Key* key) {
    engine.CountLookup(db(), name, key != nullptr);
  }

  // Looks a key of one type up: false when it has another, after replying WRONGTYPE. `*key` is
  // nullptr when there is none.
  bool LookupType(std::string_view name, Type type, Key** key);

  // Removes the key with all it holds and tells everyone (WATCH, XREADGROUP waiters). `has_rows`:
  // whether rows of the object may be left (see Keyspace::Remove).
  void Remove(Key* key, bool has_rows = true) { engine.RemoveKey(db(), key, has_rows); }

  // Makes a key and announces it ("new"). A key that is replaced is not a new one: for that there
  // is keys().Create.
  Key& Create(std::string_view name, Type type) {
    Key& key = keys().Create(db(), name, type);
    engine.KeyEvent(db(), name, "new");
    return key;
  }
  // Tells everyone that a key was changed: WATCHers, keyspace notifications, and dirty counters.
  // Every change of a key ends in exactly one of these. The event is Redis's name for the change
  // ("lpush"); its class (the letters of notify-keyspace-events) follows from the table in
  // notify.cc, where a new event needs its word. Messages go out in the order of these calls.
  void Changed(std::string_view name, std::string_view event) {
    engine.KeyChanged(db(), name, event);
  }
  // The same for changes that WATCHers do not hear of: those of groups and of what is pending. The
  // event may be empty: counted, not announced.
  void Noted(std::string_view name, std::string_view event) { engine.KeyNoted(db(), name, event); }
  // Says that blocked clients might now find something in this key.
  void Ready(std::string_view name) { engine.KeyReady(db(), name); }

  // Blocks the session until one of the keys becomes ready or time is up; the handler returns
  // without a reply and is run again (retrying == true) when a key becomes ready. If it finds
  // nothing it calls Block again and keeps its place. With deny_blocking it answers at once as on
  // timeout. timeout_ms 0: for ever.
  struct BlockOptions {
    int64_t timeout_ms = 0;
    TimeoutReply on_timeout = TimeoutReply::kNullArray;
    std::string_view raw_reply = {};  // for TimeoutReply::kRaw: bytes that are a reply (WAIT)
    bool wake_on_removal = false;
    // Run again at this moment (unix time), even if no key becomes ready; 0: no need.
    int64_t ask_again_ms = 0;
  };
  void Block(const std::vector<std::string_view>& names, BlockOptions options);
  // The same with other arguments to be run again with (XREAD's `$`, resolved).
  void Block(const std::vector<std::string_view>& names, BlockOptions options, Args again);

  // Replies "ERR wrong number of arguments for 'name' command".
  void WrongArity();
  void Error(std::string_view text) { reply.Error(text); }

  // Argument readers reply with `error` and return false when the argument is not what it must be.
  bool ReadInteger(size_t i, int64_t* value, std::string_view error = errors::kNotInteger);
  bool ReadRange(size_t i, int64_t low, int64_t high, int64_t* value, std::string_view error);
  // A blocking command's timeout in seconds, fractions allowed -> milliseconds.
  bool ReadTimeout(size_t i, int64_t* timeout_ms);
  // A number of milliseconds that may not be negative (XREAD BLOCK).
  bool ReadTimeoutMs(size_t i, int64_t* timeout_ms);
  // Case-insensitive comparison of an argument with a keyword written in upper case.
  bool Is(size_t i, std::string_view keyword) const {
    return i < args.size() && Same(args[i], keyword);
  }
  static bool Same(std::string_view word, std::string_view keyword);

 private:
  Key* Look(std::string_view name, bool touches) {
    Key* key = engine.Lookup(session, db(), name, touches);
    if (!(row.flags & kWrite)) engine.CountLookup(db(), name, key != nullptr);
    return key;
  }
};

// Redis's strict number syntax: no blanks, no plus sign, no leading zeros.
std::optional<int64_t> ParseInteger(std::string_view text);
std::optional<double> ParseDouble(std::string_view text);  // as strtod, nan refused, inf allowed
std::optional<long double> ParseLongDouble(std::string_view text);
// As people write numbers: 17 digits behind the point at most, no exponent, no zeros at the end.
std::string SpellLongDouble(long double number);
// Redis's glob: * ? [a-c] [^x] \x
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case = false);

}  // namespace sluice
