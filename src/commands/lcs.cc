// LCS: what two strings have in common, in order.
//
// The plain way: a table of how long the common part of every pair of
// beginnings is, then back from its far corner. Redis chooses among equally
// long ones on that way back, and so does this.
#include <algorithm>
#include <string>
#include <vector>

#include "src/commands/string_common.h"

namespace sluice {
namespace {

struct Options {
  bool length = false, positions = false, with_lengths = false;
  int64_t shortest = 0;
};

bool ReadOptions(Call& call, Options* o) {
  for (size_t i = 3; i < call.args.size(); ++i) {
    if (call.Is(i, "IDX")) {
      o->positions = true;
    } else if (call.Is(i, "LEN")) {
      o->length = true;
    } else if (call.Is(i, "WITHMATCHLEN")) {
      o->with_lengths = true;
    } else if (call.Is(i, "MINMATCHLEN") && i + 1 < call.args.size()) {
      if (!call.ReadInteger(++i, &o->shortest)) return false;
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  if (!o->positions || !o->length) return true;
  return call.Error(
             "ERR If you want both the length and indexes, please just "
             "use IDX."),
         false;
}

// lengths(i, j): of the longest common part of a's first i and b's first j
// bytes.
class Lengths {
 public:
  Lengths(std::string_view a, std::string_view b)
      : width_(b.size() + 1), cells_((a.size() + 1) * width_) {
    for (size_t i = 1; i <= a.size(); ++i) {
      for (size_t j = 1; j <= b.size(); ++j) {
        cells_[i * width_ + j] = a[i - 1] == b[j - 1]
                                     ? (*this)(i - 1, j - 1) + 1
                                     : std::max((*this)(i - 1, j), (*this)(i, j - 1));
      }
    }
  }
  uint32_t operator()(size_t i, size_t j) const { return cells_[i * width_ + j]; }

 private:
  size_t width_;
  std::vector<uint32_t> cells_;
};

// A stretch that stands in both strings.
struct Match {
  size_t a, b, length;
};

// From the last to the first.
std::vector<Match> Matches(std::string_view a, std::string_view b, const Lengths& lengths) {
  std::vector<Match> matches;
  bool going_on = false;
  for (size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) {
      if (!going_on) matches.push_back({i, j, 0});
      going_on = true;
      matches.back() = {--i, --j, matches.back().length + 1};
    } else {
      going_on = false;
      lengths(i - 1, j) > lengths(i, j - 1) ? --i : --j;
    }
  }
  return matches;
}

void ReplyRange(Call& call, size_t first, size_t length) {
  call.reply.ArrayHeader(2);
  call.reply.Integer(static_cast<int64_t>(first));
  call.reply.Integer(static_cast<int64_t>(first + length - 1));
}

void ReplyPositions(Call& call, const Options& o, std::vector<Match> matches, uint32_t length) {
  std::erase_if(
      matches, [&](const Match& match) { return static_cast<int64_t>(match.length) < o.shortest; });
  call.reply.MapHeader(2);
  call.reply.Bulk("matches");
  call.reply.ArrayHeader(matches.size());
  for (const Match& match : matches) {
    call.reply.ArrayHeader(o.with_lengths ? 3 : 2);
    ReplyRange(call, match.a, match.length);
    ReplyRange(call, match.b, match.length);
    if (o.with_lengths) call.reply.Integer(static_cast<int64_t>(match.length));
  }
  call.reply.Bulk("len");
  call.reply.Integer(length);
}

bool CheckSize(Call& call, uint64_t a, uint64_t b) {
  uint64_t most = static_cast<uint64_t>(call.engine.config().proto_max_bulk_len);
  if (a >= UINT32_MAX - 1 || b >= UINT32_MAX - 1) {
    return call.Error("ERR String too long for LCS"), false;
  }
  if ((a + 1) * (b + 1) <= most / sizeof(uint32_t)) return true;
  call.Error(
      "ERR Insufficient memory, transient memory for LCS exceeds "
      "proto-max-bulk-len");
  return false;
}

void Lcs(Call& call) {
  std::string values[2];
  Key* keys[2] = {call.Lookup(call.args[1]), call.Lookup(call.args[2])};
  for (int n : {0, 1}) {
    if (!keys[n]) continue;
    if (keys[n]->type != Type::kString) {
      return call.Error("ERR The specified keys must contain string values");
    }
  }
  Options options;
  if (!ReadOptions(call, &options)) return;
  for (int n : {0, 1}) {
    if (keys[n]) values[n] = OpenString(call, keys[n]).value();
  }
  std::string_view a = values[0], b = values[1];
  if (!CheckSize(call, a.size(), b.size())) return;

  Lengths lengths(a, b);
  uint32_t length = lengths(a.size(), b.size());
  if (options.length) return call.reply.Integer(length);
  std::vector<Match> matches = Matches(a, b, lengths);
  if (options.positions) return ReplyPositions(call, options, std::move(matches), length);
  std::string common;
  for (auto match = matches.rbegin(); match != matches.rend(); ++match) {
    common += a.substr(match->a, match->length);
  }
  call.reply.Bulk(common);
}

}  // namespace

void AddLcsRows(Rows* rows) {
  rows->push_back({"lcs",
                   "key1:key key2:key [LEN] [IDX] [MINMATCHLEN=len:int] [WITHMATCHLEN]",
                   "Finds the longest common subsequence of two strings.",
                   "7.0.0",
                   "O(N*M)",
                   Group::kString,
                   -3,
                   kReadonly,
                   {KeySpec::Range(1, 1, KeySpec::kRO | KeySpec::kAccess)},
                   Lcs});
}

}  // namespace sluice
