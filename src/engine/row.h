// A command is one function, one row and one dialogue. The row is the single source of dispatch,
// arity, COMMAND, COMMAND DOCS, COMMAND GETKEYS, ACL categories, HELP and the command matrix.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

class Call;
struct Key;
enum class Type : uint8_t;

// What COMMAND INFO calls flags. The values are ours, the names Redis's.
enum CommandFlag : uint32_t {
  kWrite = 1 << 0,
  kReadonly = 1 << 1,
  kDenyOom = 1 << 2,  // makes data grow: refused when the disk is full
  kAdmin = 1 << 3,
  kPubsub = 1 << 4,
  kNoscript = 1 << 5,
  kBlocking = 1 << 6,
  kLoading = 1 << 7,
  kStale = 1 << 8,
  kSkipMonitor = 1 << 9,
  kSkipSlowlog = 1 << 10,
  kAsking = 1 << 11,
  kFast = 1 << 12,
  kNoAuth = 1 << 13,
  kMayReplicate = 1 << 14,
  kNoAsyncLoading = 1 << 15,
  kNoMulti = 1 << 16,
  kMovableKeys = 1 << 17,
  kAllowBusy = 1 << 18,
  kNoMandatoryKeys = 1 << 19,
  // Not shown as a flag; COMMAND DOCS says so.
  kSysCmd = 1u << 23,
  // Not shown as flags, but as ACL categories where these do not follow from flags and group (see
  // categories.h).
  kCatDangerous = 1u << 24,
  kCatConnection = 1u << 25,
  kCatKeyspace = 1u << 26,
  kCatAdmin = 1u << 27,
  kCatCollections = 1u << 28,  // SORT: @list, @set and @sortedset in place of the group's
  kCatNotGroup = 1u << 29,     // not in its group's category
};

enum class Group : uint8_t {
  kGeneric,
  kString,
  kList,
  kSet,
  kSortedSet,
  kHash,
  kPubsub,
  kTransactions,
  kConnection,
  kServer,
  kScripting,
  kBitmap,
  kStream,
  kHyperLogLog,
  kGeo,
  kCluster,
};

// Where a command's keys are, and what is done to them.
struct KeySpec {
  enum Flag : uint16_t {
    kRW = 1 << 0,
    kRO = 1 << 1,
    kOW = 1 << 2,
    kRM = 1 << 3,
    kAccess = 1 << 4,
    kUpdate = 1 << 5,
    kInsert = 1 << 6,
    kDelete = 1 << 7,
    kNotKey = 1 << 8,
    kIncomplete = 1 << 9,
    kVariableFlags = 1 << 10,
  };
  uint16_t flags = 0;
  // Where the search begins: an argument's number, or a keyword (searched from `index`; negative:
  // backwards from the end).
  const char* keyword = nullptr;
  int index = 0;
  // How it goes on: a range (last relative to the first, negative: from the end; step; limit as in
  // COMMAND INFO) or a count of keys.
  enum Find : uint8_t { kRange, kKeyNum, kUnknown } find = kRange;
  int last = 0;         // kRange
  int step = 1;         // both
  int limit = 0;        // kRange
  int count_index = 0;  // kKeyNum: where the count stands, relative to the begin
  int first_key = 1;    // kKeyNum: where the first key stands, relative to the begin

  // One key, the argument `index`.
  static KeySpec At(int index, int flags) { return Range(index, 0, flags); }
  // The keys from argument `index` to `last` (relative to `index`; negative: from the end).
  static KeySpec Range(int index, int last, int flags, int step = 1) {
    return {static_cast<uint16_t>(flags), nullptr, index, kRange, last, step};
  }
  // A number of keys, the argument `index`, and then the keys, `step` apart.
  static KeySpec Counted(int index, int flags, int step = 1) {
    return {static_cast<uint16_t>(flags), nullptr, index, kKeyNum, 0, step};
  }
  // The keys behind a keyword that is looked for from argument `from` on.
  static KeySpec After(const char* keyword, int from, int last, int flags, int limit = 0) {
    return {static_cast<uint16_t>(flags), keyword, from, kRange, last, 1, limit};
  }
  // Keys whose place no rule can tell.
  static KeySpec Unknown(int flags) { return {static_cast<uint16_t>(flags), nullptr, 0, kUnknown}; }
};

using Handler = void (*)(Call&);

// What a type does when a key's timer (Key::timer_ms) has come. The call is nobody's: it has no
// arguments and its replies go nowhere. The handler sets the timer anew, or to 0; one that is left
// as it was is taken off.
using TimerHandler = void (*)(Call&, Key*);

// Row::since of what Redis does not have: the version of Sluice that brought it.
inline constexpr std::string_view kSinceSluice = "0.1.0";

struct Row {
  // Lower case; of a subcommand "container|name".
  std::string_view name;
  // The arguments, in the notation of syntax.h, from which COMMAND DOCS builds its tree.
  std::string_view syntax;
  std::string_view summary;
  std::string_view since;
  std::string_view complexity;
  Group group;
  // As in COMMAND INFO: the number of words, name included (a subcommand's container too);
  // negative: at least so many.
  int arity;
  uint32_t flags;
  std::vector<KeySpec> keys = {};
  Handler handler = nullptr;
  // COMMAND INFO's tips.
  std::vector<std::string_view> tips = {};
  // Of a deprecated command: since when, and what to use instead, commands in `backquotes`.
  std::string_view deprecated_since = {};
  std::string_view replaced_by = {};
  // Set when rows are joined into the table. Containers that are no commands themselves have rows
  // without a handler.
  int index = 0;
  std::vector<const Row*> subcommands = {};
};

// The positions (in args) of a call's keys; empty when the arguments make no sense.
struct KeyPosition {
  size_t index;
  uint16_t flags;
};
std::vector<KeyPosition> FindKeys(const Row& row, std::span<const std::string_view> args);

// All commands, found by name in any letter case.
class CommandTable {
 public:
  CommandTable();  // joins every family's rows
  CommandTable(const CommandTable&) = delete;

  // The command, or nullptr.
  const Row* Find(std::string_view name) const;
  // A container's subcommand, or nullptr.
  static const Row* FindSub(const Row& container, std::string_view name);
  const std::vector<const Row*>& commands() const { return commands_; }
  // Rows and subcommand rows together; Row::index runs below this.
  int size() const { return static_cast<int>(rows_.size()); }
  const Row& at(int index) const { return rows_[index]; }
  // nullptr: keys of this type set no timers.
  TimerHandler timer(Type type) const { return timers_[static_cast<size_t>(type)]; }

 private:
  std::vector<Row> rows_;
  std::vector<const Row*> commands_;
  std::vector<const Row*> slots_;     // open addressing by case-folded hash
  std::vector<TimerHandler> timers_;  // by type
};

// Each family adds its rows; src/commands/table.cc calls them all.
using Rows = std::vector<Row>;

}  // namespace sluice
