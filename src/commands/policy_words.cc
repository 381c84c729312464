#include "src/commands/policy_words.h"

#include "src/commands/stream_common.h"

namespace sluice {
namespace {

constexpr int64_t kMaxTokens = 1'000'000'000;
constexpr int64_t kMaxBackoffs = 1000;

}  // namespace

bool PolicyWords::Next() {
  if (i_ >= call_.args.size()) return false;
  setting_ = call_.args[i_++];
  return true;
}

bool PolicyWords::Wrong(std::string_view what) {
  std::string name(setting_);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return call_.Error("ERR " + name + " " + std::string(what)), false;
}

bool PolicyWords::Unknown(std::string_view command) {
  call_.Error("ERR Unrecognized " + std::string(command) + " option '" + Shown(setting_) + "'");
  return false;
}

bool PolicyWords::Integer(int64_t low, int64_t high, int64_t* value) {
  if (!Step()) return false;
  std::optional<int64_t> parsed = ParseInteger(word());
  if (!parsed || *parsed < low || *parsed > high) return Wrong("is not an integer or out of range");
  *value = *parsed;
  return true;
}

bool PolicyWords::Number(std::optional<int64_t>* value, int64_t high) {
  return Integer(0, high, &value->emplace());
}

bool PolicyWords::Text(std::string_view* value) {
  if (!Step()) return false;
  *value = word();
  return true;
}

bool PolicyWords::Text(std::optional<std::string_view>* value) { return Text(&value->emplace()); }

bool PolicyWords::Backoff(std::optional<std::vector<int64_t>>* value) {
  int64_t n = 0;
  if (!Integer(0, kMaxBackoffs, &n)) return false;
  for (value->emplace(); n > 0; --n) {
    if (!Integer(0, kMaxDelayMs, &(*value)->emplace_back())) return false;
  }
  return true;
}

bool PolicyWords::Rate(std::optional<RateChange>* value) {
  RateChange& rate = value->emplace();
  if (!Integer(0, kMaxTokens, &rate.tokens)) return false;
  if (!Integer(rate.tokens ? 1 : 0, kMaxTokens, &rate.per_ms)) return false;
  rate.burst = rate.tokens;
  if (!call_.Is(i_, "BURST")) return true;
  ++i_;
  return Integer(1, kMaxTokens, &rate.burst);
}

bool MaySay(Call& call, const std::vector<std::string_view>& words) {
  const Row& row = *call.engine.table().Find(words[0]);
  Verdict verdict = call.engine.CheckPermissions(call.session, row, words);
  if (verdict.ok()) return true;
  call.engine.LogDenied(call.session, row, words, verdict, AclContext::kTopLevel);
  return call.Error(DeniedText(verdict.denied, row)), false;
}

void PolicyReply::Setting(std::string_view name, int64_t value) {
  reply_.Bulk(name);
  value ? reply_.Integer(value) : reply_.Null();
}

void PolicyReply::Setting(std::string_view name, std::string_view value) {
  reply_.Bulk(name);
  value.empty() ? reply_.Null() : reply_.Bulk(value);
}

void PolicyReply::Setting(std::string_view name, const std::vector<int64_t>& values) {
  reply_.Bulk(name);
  reply_.ArrayHeader(values.size());
  for (int64_t value : values) reply_.Integer(value);
}

void PolicyReply::Counter(std::string_view name, std::optional<uint64_t> value) {
  reply_.Bulk(name);
  value ? reply_.Integer(static_cast<int64_t>(*value)) : reply_.Null();
}

}  // namespace sluice
