// Where Redis would begin a new node.
//
// Redis keeps a stream in nodes of many entries each, closes a node when it has so many entries or
// bytes, and `MAXLEN ~` drops whole nodes only. Entries are rows of their own here, but each
// carries the number of the node it would be in, so that approximate trimming stops where Redis's
// does. This is the arithmetic of it: a node's size is what a listpack of the same entries would
// take.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "store/stream_id.h"

namespace sluice {

// The directives stream-node-max-entries and stream-node-max-bytes; 0: no limit.
struct NodeLimits {
  int64_t max_entries = 100;
  int64_t max_bytes = 4096;
};

// The node that is being filled. Part of a stream's header.
struct OpenNode {
  uint64_t number = 0;
  uint64_t entries = 0;  // deleted ones included; 0: the next entry begins a new node
  uint64_t bytes = 0;
  StreamId master;           // the first entry; the others' ids are kept as differences
  uint64_t fields_hash = 0;  // its field names; entries with the same do not repeat them
};

// Adds an entry (field, value, field, value, ...) to the node, or to a new one when it is full.
void AddToNode(OpenNode* node, const NodeLimits& limits, StreamId id,
               std::span<const std::string_view> pairs);

}  // namespace sluice
