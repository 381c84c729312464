// A sorted set: members of any length, each with a score, in the order of score and then bytes.
//
// Two rows per member: one under its hash, which tells the score, and one under its score and
// bytes, which puts it in order. A member too long for a row key stands in order by its first bytes
// and a number; see FORMAT.md. Finding a member, a score or an end is O(log n), also among long
// members that begin alike; finding the nth entry walks from the nearer end.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "store/keyspace.h"
#include "store/named_rows.h"

namespace sluice {

class Ranked;

class SortedSet {
 public:
  struct Entry {
    std::string_view member;
    double score;
  };

  // `key` must be a sorted set, or freshly created as one.
  SortedSet(Env* env, Keyspace* keys, Key* key);

  uint64_t size() const { return header_.count; }
  // Bytes of all members together.
  uint64_t bytes() const { return header_.bytes; }
  // A mark that stays, which only OBJECT ENCODING asks for: the set has once been a large one.
  bool large() const { return header_.large != 0; }
  void MarkLarge();

  // Scores are never NaN; -0 is kept as such and sorts as 0 does.
  std::optional<double> Score(std::string_view member) const;
  // Adds a member that is not there.
  void Add(std::string_view member, double score);
  // Gives a member that is there another score.
  void Move(std::string_view member, double from, double to);
  // False when there is no such member. The caller removes the key when the set has become empty.
  bool Remove(std::string_view member);
  // Removes entries from where `at` stands, as long as `more` says so; returns how many. Afterwards
  // `at` stands nowhere.
  uint64_t RemoveWhile(Ranked* at, const std::function<bool(const Ranked&)>& more);

  // How many entries are before this one, which must be there.
  uint64_t RankOf(std::string_view member, double score) const;
  // How many entries there are from `from` on and before `to`, which is not before `from`; a place
  // that is not valid is the end. Walks over them or over all others, whatever are fewer.
  uint64_t CountBetween(const Ranked& from, const Ranked& to) const;

  // Calls `visit` for the entries in no particular order from `cursor` on, as Keyspace::Scan does
  // for keys, with the same promises.
  uint64_t Scan(uint64_t cursor, uint64_t count,
                const std::function<void(const Entry&)>& visit) const;
  // An entry, every one as likely as any other, of a set that is not empty.
  struct Owned {
    std::string member;
    double score;
  };
  Owned Sample(const std::function<uint64_t()>& random) const;

 private:
  friend class Ranked;
  struct Header {
    uint64_t count = 0;
    uint64_t bytes = 0;
    uint64_t next_number = 0;  // of a long member: see NamedRows
    uint8_t large = 0;
  };
  NamedRows Members() const { return {env_, Table::kMember, key_->object}; }
  void PutMember(RowKey* key, bool found, std::string_view member, double score);
  void PutInOrder(const RowKey& member_key, std::string_view member, double score);
  void DeleteInOrder(std::string_view member, double score);
  uint64_t NumberBetween(const RowKey& stem, std::string_view member, double score);
  void Save();

  Env* env_;
  Keyspace* keys_;
  Key* key_;
  Header header_;
};

// A place in a sorted set's order. Good until the set changes; then it has to be placed anew.
class Ranked {
 public:
  explicit Ranked(const SortedSet& set);

  bool First();
  bool Last();
  // The nth entry, from 0.
  bool Nth(uint64_t n);
  // The first entry with this score or a higher one, or with a higher one; the last with this score
  // or a lower one, or with a lower one.
  bool AtLeast(double score);
  bool Above(double score);
  bool AtMost(double score);
  bool Below(double score);
  // The first entry that is this one or behind it, or the last that is this one or before it,
  // whether or not the set has the member.
  bool AtLeast(double score, std::string_view member);
  bool AtMost(double score, std::string_view member);
  bool Next() { return valid_ = rows_.Next() && InSet(); }
  bool Prev() { return valid_ = rows_.Prev() && InSet(); }
  bool Step(bool forwards) { return forwards ? Next() : Prev(); }

  bool valid() const { return valid_; }
  double score() const;
  // A view until the next write.
  std::string_view member() const;

 private:
  friend class SortedSet;
  bool InSet() const;
  bool SeekAtLeast(std::string_view row_key) {
    return valid_ = rows_.SeekAtLeast(row_key) && InSet();
  }
  bool BackFrom(bool behind_it);
  bool IsLong() const;
  RowKey MemberKey() const;

  Env* env_;
  ObjectId object_;
  uint64_t size_;
  Cursor rows_;
  bool valid_ = false;
};

}  // namespace sluice
