// What the files about keys of any type share.
#pragma once

#include <string_view>

#include "src/engine/call.h"

namespace sluice {

// What TYPE answers.
std::string_view TypeName(Type type);
// What OBJECT ENCODING answers.
std::string_view EncodingName(Call& call, Key* key);

// On which keys EXPIRE and its relatives act, and HEXPIRE and its on which fields. 0 is no expiry.
struct ExpiryConditions {
  bool nx = false, xx = false, gt = false, lt = false;

  bool Allow(int64_t current, int64_t wanted) const {
    if (nx && current) return false;
    if (xx && !current) return false;
    // No expiry counts as one that is later than any other.
    if (gt && (!current || wanted <= current)) return false;
    if (lt && current && wanted >= current) return false;
    return true;
  }
};

// Reads a database's number, which need not be one that there is; replies `error`, or what Redis
// says where it has no words of its own, and returns false when the argument is no such number.
bool ReadDatabaseNumber(Call& call, size_t i, int* db, std::string_view error = {});
// Replies an error and returns false when there is no such database.
bool CheckDatabase(Call& call, int db);

void AddDatabaseRows(Rows* rows);
void AddObjectRows(Rows* rows);

}  // namespace sluice
