#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "src/commands/routing.h"
#include "src/commands/stream_append.h"

namespace sluice {
namespace {

constexpr std::string_view kInvalidId =
    "ERR Invalid stream ID specified as stream command argument";
constexpr size_t kMaxIdText = 127;

// Redis reads these with strtoull when they are not plain numbers, so blanks and signs in front,
// leading zeros and all that goes around at 2^64 are accepted; `text` ends with a NUL.
bool ParseNumber(const char* text, uint64_t* value) {
  size_t size = std::strlen(text);
  if (std::optional<int64_t> plain = ParseInteger({text, size})) {
    *value = static_cast<uint64_t>(*plain);
    return *plain >= 0;
  }
  errno = 0;
  char* end = nullptr;
  *value = std::strtoull(text, &end, 10);
  return errno == 0 && size > 0 && *end == '\0' && end != text;
}

// "ms[-seq]". `any_seq` is null where "ms-*" is no id.
bool ParsePlainId(std::string_view text, uint64_t missing_seq, StreamId* id, bool* any_seq) {
  if (text.size() > kMaxIdText) return false;
  char buffer[kMaxIdText + 1];
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  char* dash = std::strchr(buffer, '-');
  if (dash) *dash = '\0';
  if (!ParseNumber(buffer, &id->ms)) return false;
  id->seq = missing_seq;
  if (!dash) return true;
  if (any_seq && std::strcmp(dash + 1, "*") == 0) {
    *any_seq = true;
    id->seq = 0;
    return true;
  }
  return ParseNumber(dash + 1, &id->seq);
}

bool ReadIntervalEdge(Call& call, size_t i, uint64_t missing_seq, StreamId* id, bool* exclude) {
  std::string_view text = call.args[i];
  *exclude = text.size() > 1 && text[0] == '(';
  if (*exclude) {
    if (ParsePlainId(text.substr(1), missing_seq, id, nullptr)) return true;
  } else if (std::optional<StreamId> parsed = ParseStreamId(text, missing_seq)) {
    *id = *parsed;
    return true;
  }
  return call.Error(kInvalidId), false;
}

char* WriteNumber(char* out, uint64_t value) { return std::to_chars(out, out + 20, value).ptr; }

}  // namespace

void AppendEntry(Call& call, int db, std::string_view name, Stream* stream, StreamId id,
                 std::span<const std::string_view> pairs, int64_t expires_at_ms,
                 std::string_view open) {
  stream->Append(id, pairs, StreamNodeLimits(call), expires_at_ms);
  call.engine.KeyChanged(db, name, "xadd");
  call.engine.KeyReady(db, name);
  if (stream->bindings() > 0) RouteEntry(call, db, name, *stream, {pairs, expires_at_ms, open});
}

Stream OpenStream(Call& call, Key* key) {
  Stream stream(call.env(), &call.keys(), key);
  if (stream.HideExpired(call.now_ms()) > 0) call.Changed(key->name, "xdel");
  return stream;
}

NodeLimits StreamNodeLimits(const Call& call) {
  const Config& config = call.engine.config();
  return {config.stream_node_max_entries, config.stream_node_max_bytes};
}

std::optional<StreamId> ParseStreamId(std::string_view text, uint64_t missing_seq) {
  if (text == "-") return StreamId();
  if (text == "+") return StreamId::Max();
  StreamId id;
  if (!ParsePlainId(text, missing_seq, &id, nullptr)) return std::nullopt;
  return id;
}

bool ReadStreamId(Call& call, size_t i, StreamId* id) {
  if (ParsePlainId(call.args[i], 0, id, nullptr)) return true;
  return call.Error(kInvalidId), false;
}

bool ReadStreamIds(Call& call, size_t from, std::vector<StreamId>* ids) {
  ids->resize(call.args.size() - from);
  for (size_t i = from; i < call.args.size(); ++i) {
    if (!ReadStreamId(call, i, &(*ids)[i - from])) return false;
  }
  return true;
}

bool ReadNewStreamId(Call& call, size_t i, StreamId* id, bool* any_seq) {
  *any_seq = false;
  if (ParsePlainId(call.args[i], 0, id, any_seq)) return true;
  return call.Error(kInvalidId), false;
}

bool ReadIntervalStart(Call& call, size_t i, StreamId* id) {
  bool exclude;
  if (!ReadIntervalEdge(call, i, 0, id, &exclude)) return false;
  if (!exclude || id->Increment()) return true;
  return call.Error("ERR invalid start ID for the interval"), false;
}

bool ReadIntervalEnd(Call& call, size_t i, StreamId* id) {
  bool exclude;
  if (!ReadIntervalEdge(call, i, UINT64_MAX, id, &exclude)) return false;
  if (!exclude || id->Decrement()) return true;
  return call.Error("ERR invalid end ID for the interval"), false;
}

std::string Shown(std::string_view argument) {
  return std::string(argument.substr(0, argument.find('\0')));
}

void SubcommandSyntaxError(Call& call) {
  std::string container(call.row.name.substr(0, call.row.name.find('|')));
  for (char& c : container) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  call.Error("ERR unknown subcommand or wrong number of arguments for '" +
             Shown(call.args[1].substr(0, 128)) + "'. Try " + container + " HELP.");
}

void ReplyId(resp::ReplyWriter reply, StreamId id) {
  char text[48];
  char* end = WriteNumber(text, id.ms);
  *end++ = '-';
  end = WriteNumber(end, id.seq);
  reply.Bulk({text, static_cast<size_t>(end - text)});
}

void ReplyEntry(resp::ReplyWriter reply, StreamId id, EntryFields fields) {
  reply.ArrayHeader(2);
  ReplyId(reply, id);
  ReplyFields(reply, fields);
}

void ReplyFields(resp::ReplyWriter reply, EntryFields fields) {
  reply.ArrayHeader(2 * fields.left());
  while (fields.left() > 0) {
    std::string_view field, value;
    fields.Next(&field, &value);
    reply.Bulk(field);
    reply.Bulk(value);
  }
}

void ReplyEntries(resp::ReplyWriter reply, Entries entries, uint64_t count) {
  size_t mark = reply.BeginArray(count);
  size_t n = 0;
  for (; entries.valid() && (count == 0 || n < count); entries.Next(), ++n) {
    ReplyEntry(reply, entries.id(), entries.fields());
  }
  reply.EndArray(mark, n);
}

bool FindGroup(Call& call, std::optional<Stream>* stream, std::optional<ConsumerGroup>* group) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return false;
  if (!key) return true;
  stream->emplace(OpenStream(call, key));
  *group = ConsumerGroup::Find(&**stream, call.args[2]);
  return true;
}

void NoGroup(Call& call) {
  call.Error("NOGROUP No such key '" + Shown(call.args[1]) + "' or consumer group '" +
             Shown(call.args[2]) + "'");
}

void NoGroupNamed(Call& call) {
  call.Error("NOGROUP No such consumer group '" + Shown(call.args[3]) + "' for key name '" +
             Shown(call.args[2]) + "'");
}

void SavePending(Call& call, ConsumerGroup* group) {
  group->Save();
  call.Noted(call.args[1], "");
  if (group->TakeNews()) call.Ready(call.args[1]);
}

bool ReadIdsBlock(Call& call, const IdsErrors& errors, size_t* i, std::vector<StreamId>* ids) {
  int64_t n;
  if (*i + 1 >= call.args.size()) return call.Error(errors::kSyntax), false;
  if (!call.ReadRange(*i + 1, 1, INT32_MAX, &n, errors.not_positive)) return false;
  if (static_cast<uint64_t>(n) > call.args.size() - (*i + 2)) {
    return call.Error(errors.mismatch), false;
  }
  for (*i += 1; n > 0; --n) {
    ids->emplace_back();
    if (!ReadStreamId(call, ++*i, &ids->back())) return false;
  }
  return true;
}

Consumer MakeConsumer(Call& call, ConsumerGroup* group, std::string_view key,
                      std::string_view name) {
  if (std::optional<Consumer> consumer = group->FindConsumer(name)) return *std::move(consumer);
  call.Noted(key, "xgroup-createconsumer");
  return group->CreateConsumer(name, call.now_ms());
}

}  // namespace sluice
