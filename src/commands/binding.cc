// XBIND, XUNBIND and XINFO BINDINGS: where a stream's entries are copied to. The copying is in
// routing.cc.
#include <string>
#include <unordered_set>
#include <vector>

#include "src/commands/list_common.h"
#include "src/commands/routing.h"

namespace sluice {
namespace {

using Kind = Binding::Kind;
using Into = Binding::Into;

bool ReadSelection(Call& call, size_t* i, Binding* binding) {
  if (*i + 3 >= call.args.size()) return call.Error(errors::kSyntax), false;
  binding->field = call.args[*i + 1];
  if (call.Is(*i + 2, "DIRECT")) {
    binding->kind = Kind::kDirect;
  } else if (call.Is(*i + 2, "TOPIC")) {
    binding->kind = Kind::kTopic;
  } else if (call.Is(*i + 2, "MATCH")) {
    binding->kind = Kind::kMatch;
  } else {
    return call.Error(errors::kSyntax), false;
  }
  binding->pattern = call.args[*i += 3];
  return true;
}

bool ReadList(Call& call, size_t* i, Binding* binding) {
  if (*i + 2 >= call.args.size()) return call.Error(errors::kSyntax), false;
  End end;
  if (!ReadEnd(call, *i + 1, &end)) return false;
  binding->into = end == End::kLeft ? Into::kListLeft : Into::kListRight;
  binding->list_field = call.args[*i += 2];
  return true;
}

bool ReadBinding(Call& call, Binding* binding) {
  binding->dest = call.args[2];
  for (size_t i = 3; i < call.args.size(); ++i) {
    if (call.Is(i, "FIELD") && binding->kind == Kind::kAll) {
      if (!ReadSelection(call, &i, binding)) return false;
    } else if (call.Is(i, "LIST") && binding->into == Into::kStream) {
      if (!ReadList(call, &i, binding)) return false;
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  return true;
}

// Whether entries that get to `from` come to `to`, as far as bindings of today lead; false as well
// when that is more than one entry may be copied to: `*too_many`.
bool Leads(Call& call, std::string_view from, std::string_view to, bool* too_many) {
  std::unordered_set<std::string> reached{std::string(from)};
  std::vector<std::string> todo(reached.begin(), reached.end());
  while (!todo.empty()) {
    std::string name = std::move(todo.back());
    todo.pop_back();
    if (name == to) return true;
    Key* key = call.keys().Find(call.db(), name);
    if (!key || key->type != Type::kStream) continue;
    Stream stream = OpenStream(call, key);
    Bindings(&stream).Walk([&](const Binding& binding) {
      // Lists lead nowhere.
      if (binding.into == Into::kStream && reached.emplace(binding.dest).second) {
        todo.emplace_back(binding.dest);
      }
      return true;
    });
    *too_many = reached.size() > kMaxCopies;
    if (*too_many) return false;
  }
  return false;
}

bool MayBind(Call& call, const Binding& binding) {
  std::string_view source = call.args[1];
  bool too_many = false;
  bool cycle = binding.into == Into::kStream ? Leads(call, binding.dest, source, &too_many)
                                             : binding.dest == source;
  if (cycle) return call.Error("ERR the binding would close a cycle"), false;
  if (too_many) return call.Error("ERR too many destinations behind that one"), false;
  return true;
}

void Xbind(Call& call) {
  Binding binding;
  if (!ReadBinding(call, &binding)) return;
  std::string_view source = call.args[1];
  Key* key;
  if (!call.LookupType(source, Type::kStream, &key)) return;
  if (!MayBind(call, binding)) return;
  bool made = key == nullptr;
  if (made) key = &call.Create(source, Type::kStream);
  Stream stream = OpenStream(call, key);
  Bindings bindings(&stream);
  if (bindings.size() >= kMaxBindings) {
    bool known = false;
    bindings.Walk([&](const Binding& other) { return !(known = other.SameAs(binding)); });
    if (!known) return call.Error("ERR too many bindings");
  }
  bool added = bindings.Add(binding);
  if (made) {
    call.Changed(source, "xbind");
  } else if (added) {
    call.Noted(source, "xbind");
  }
  call.reply.Integer(added);
}

void Xunbind(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return;
  uint64_t removed = 0;
  if (key) {
    Stream stream = OpenStream(call, key);
    removed = Bindings(&stream).Remove(call.args[2]);
  }
  if (removed > 0) call.Noted(call.args[1], "xunbind");
  call.reply.Integer(static_cast<int64_t>(removed));
}

// ---- XINFO BINDINGS

constexpr std::string_view kKindNames[] = {"fanout", "direct", "topic", "match"};

void ReplyText(Call& call, std::string_view name, bool there, std::string_view text) {
  call.reply.Bulk(name);
  there ? call.reply.Bulk(text) : call.reply.Null();
}

void ReplyBinding(Call& call, const Binding& binding) {
  bool selects = binding.kind != Kind::kAll, list = binding.into != Into::kStream;
  call.reply.MapHeader(8);
  ReplyText(call, "dest", true, binding.dest);
  ReplyText(call, "field", selects, binding.field);
  ReplyText(call, "kind", true, kKindNames[static_cast<size_t>(binding.kind)]);
  ReplyText(call, "pattern", selects, binding.pattern);
  ReplyText(call, "list-end", list, binding.into == Into::kListLeft ? "left" : "right");
  ReplyText(call, "list-field", list, binding.list_field);
  call.reply.Bulk("copied");
  call.reply.Integer(static_cast<int64_t>(binding.copied));
  call.reply.Bulk("skipped");
  call.reply.Integer(static_cast<int64_t>(binding.skipped));
}

void XinfoBindings(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[2], Type::kStream, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  Stream stream = OpenStream(call, key);
  Bindings bindings(&stream);
  call.reply.ArrayHeader(bindings.size());
  bindings.Walk([&](const Binding& binding) { return ReplyBinding(call, binding), true; });
}

}  // namespace

void AddBindingRows(Rows* rows) {
  rows->push_back({"xbind",
                   "source destination [FIELD=selection(field kind(DIRECT|TOPIC|MATCH) pattern)] "
                   "[LIST=list(where(LEFT|RIGHT) list-field)]",
                   "Has every entry that enters a stream, or those with a certain value, copied to "
                   "another stream or pushed to a list.",
                   kSinceSluice,
                   "O(N) with N the bindings of the source and of the streams behind it",
                   Group::kStream,
                   -3,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate),
                    KeySpec::At(2, KeySpec::kOW | KeySpec::kInsert)},
                   Xbind});
  rows->push_back({"xunbind",
                   "source destination",
                   "Ends all bindings from a stream to a destination.",
                   kSinceSluice,
                   "O(N) with N the bindings of the source",
                   Group::kStream,
                   3,
                   kWrite,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate),
                    KeySpec::At(2, KeySpec::kOW | KeySpec::kUpdate)},
                   Xunbind});
  rows->push_back({"xinfo|bindings",
                   "key",
                   "Lists a stream's bindings and how many copies each has made.",
                   kSinceSluice,
                   "O(N) with N the stream's bindings",
                   Group::kStream,
                   3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   XinfoBindings});
}

}  // namespace sluice
