#include "src/engine/syntax.h"

#include <cassert>
#include <cctype>
#include <string>
#include <vector>

namespace sluice {
namespace {

struct Argument {
  std::string name;
  std::string_view type;  // as COMMAND DOCS calls it
  int key_spec = -1;
  bool has_token = false;
  std::string_view token;
  std::string_view since, deprecated_since;
  bool optional = false, multiple = false, multiple_token = false;
  std::vector<Argument> inner;
};

bool IsNameChar(char c) {
  return std::islower(static_cast<unsigned char>(c)) ||
         std::isdigit(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

bool IsWordChar(char c) {
  return std::isupper(static_cast<unsigned char>(c)) ||
         std::isdigit(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  // Arguments up to the end, or the closing parenthesis; `choice` says what stood between them.
  std::vector<Argument> List(bool* choice) {
    std::vector<Argument> list;
    *choice = false;
    while (!rest_.empty() && rest_[0] != ')') {
      if (Take(' ')) continue;
      if (Take('|')) {
        *choice = true;
        continue;
      }
      list.push_back(One());
    }
    return list;
  }

 private:
  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool Take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  std::string_view TakeWhile(bool (*accepted)(char)) {
    size_t n = 0;
    while (n < rest_.size() && accepted(rest_[n])) ++n;
    std::string_view word = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return word;
  }

  Argument One() {
    bool optional = Take('[');
    Argument a = Item();
    if (Take("...")) a.multiple = true;
    if (optional) {
      [[maybe_unused]] bool closed = Take(']');
      assert(closed);
      a.optional = true;
      if (Take("...")) a.multiple = a.multiple_token = true;
    }
    return a;
  }

  Argument Item() {
    Argument a;
    if (!IsNameChar(rest_[0]) && rest_[0] != '\'') {
      std::string_view token = Token();
      if (Take('=')) {
        a = Named();
      } else if (Take('!')) {
        a = Named();
        a.type = "pure-token";
      } else {
        for (char c : token) a.name += static_cast<char>(std::tolower(c));
        a.type = "pure-token";
      }
      a.has_token = true;
      a.token = token;
    } else {
      a = Named();
    }
    auto version = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) || c == '.'; };
    while (Take('@')) {
      bool deprecated = Take('<');
      std::string_view v = TakeWhile(version);
      // "..." right behind a version is no part of it.
      if (v.ends_with("...")) {
        v.remove_suffix(3);
        rest_ = std::string_view(v.end(), rest_.end() - v.end());
      }
      (deprecated ? a.deprecated_since : a.since) = v;
    }
    return a;
  }

  std::string_view Token() {
    if (Take("\"\"")) return {};
    if (!IsWordChar(rest_[0])) {
      std::string_view sign = rest_.substr(0, 1);
      rest_.remove_prefix(1);
      return sign;
    }
    return TakeWhile(IsWordChar);
  }

  Argument Named() {
    Argument a;
    if (Take('\'')) {
      a.name = TakeWhile([](char c) { return c != '\''; });
      Take('\'');
    } else {
      a.name = TakeWhile(IsNameChar);
    }
    assert(!a.name.empty());
    if (Take('(')) {
      bool choice;
      a.inner = List(&choice);
      a.type = choice ? "oneof" : "block";
      [[maybe_unused]] bool closed = Take(')');
      assert(closed);
    } else {
      Type(&a);
    }
    return a;
  }

  void Type(Argument* a) {
    if (!Take(':')) {
      a->type = a->name == "key" ? "key" : "string";
      if (a->type == "key") a->key_spec = 0;
      return;
    }
    a->type = TakeWhile([](char c) { return std::islower(static_cast<unsigned char>(c)) != 0; });
    if (a->type == "int") a->type = "integer";
    if (a->type == "time") a->type = "unix-time";
    if (a->type == "key") a->key_spec = 0;
    if (!rest_.empty() && std::isdigit(static_cast<unsigned char>(rest_[0]))) {
      a->key_spec = rest_[0] - '0';
      rest_.remove_prefix(1);
    }
  }

  std::string_view rest_;
};

void Write(const std::vector<Argument>& list, resp::ReplyWriter* reply) {
  reply->ArrayHeader(list.size());
  for (const Argument& a : list) {
    size_t flags = a.optional + a.multiple + a.multiple_token;
    reply->MapHeader(2 + (a.key_spec >= 0) + a.has_token + !a.since.empty() +
                     !a.deprecated_since.empty() + (flags > 0) + !a.inner.empty());
    auto pair = [&](std::string_view name, std::string_view value) {
      reply->Bulk(name);
      reply->Bulk(value);
    };
    pair("name", a.name);
    pair("type", a.type);
    if (a.key_spec >= 0) {
      reply->Bulk("key_spec_index");
      reply->Integer(a.key_spec);
    }
    if (a.has_token) pair("token", a.token);
    if (!a.since.empty()) pair("since", a.since);
    if (!a.deprecated_since.empty()) pair("deprecated_since", a.deprecated_since);
    if (flags > 0) {
      reply->Bulk("flags");
      reply->SetHeader(flags);
      if (a.optional) reply->SimpleString("optional");
      if (a.multiple) reply->SimpleString("multiple");
      if (a.multiple_token) reply->SimpleString("multiple_token");
    }
    if (!a.inner.empty()) {
      reply->Bulk("arguments");
      Write(a.inner, reply);
    }
  }
}

std::string Join(const std::vector<Argument>& list, std::string_view between);

std::string Shown(const Argument& a) {
  std::string once;
  if (a.has_token) once = a.token.empty() ? "\"\"" : std::string(a.token);
  std::string value;
  if (a.type == "oneof") {
    // A choice that may be left out needs no brackets of its own.
    value = Join(a.inner, " | ");
    if (!a.optional || a.has_token) value = "<" + value + ">";
  } else if (a.type == "block") {
    value = Join(a.inner, " ");
  } else if (a.type != "pure-token") {
    value = a.name;
  }
  std::string repeated = a.multiple_token ? once + (value.empty() ? "" : " ") + value : value;
  if (!once.empty() && !value.empty()) once += " ";
  once += value;
  if (a.multiple) once += " [" + repeated + " ...]";
  return a.optional ? "[" + once + "]" : once;
}

std::string Join(const std::vector<Argument>& list, std::string_view between) {
  std::string out;
  for (const Argument& a : list) {
    if (!out.empty()) out += between;
    out += Shown(a);
  }
  return out;
}

}  // namespace

void WriteArguments(std::string_view syntax, resp::ReplyWriter reply) {
  bool choice;
  Write(Parser(syntax).List(&choice), &reply);
}

std::string Synopsis(std::string_view syntax) {
  bool choice;
  return Join(Parser(syntax).List(&choice), " ");
}

}  // namespace sluice
