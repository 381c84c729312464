#include "resp/reply_reader.h"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <utility>

namespace sluice::resp {
namespace {

template <typename T>
bool ReadNumber(std::string_view text, T* value) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool IsBigNumber(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

ReplyReader::Outcome ReplyReader::Next(Reply* reply) {
  while (!failed_) {
    Reply value;
    bool complete = true;
    if (in_bulk_) {
      if (input_.size() < bulk_size_ + 2) return Outcome::kNeedMore;
      if (!FinishBulk(&value)) break;
    } else {
      std::string_view line;
      if (!ReadLine(&line)) {
        if (failed_) break;
        return Outcome::kNeedMore;
      }
      if (!StartValue(line, &value, &complete)) break;
      input_.Consume(line.size() + 2);
    }
    if (complete && Place(std::move(value), reply)) return Outcome::kReply;
  }
  return Outcome::kError;
}

// The next line without its end, left in the buffer. False: not there yet, or failed_.
bool ReplyReader::ReadLine(std::string_view* line) {
  const std::string_view input = input_.view();
  const size_t found = input.find('\n', scanned_);
  if ((found == std::string_view::npos ? input.size() : found) > limits_.max_line) {
    return Fail("line longer than " + std::to_string(limits_.max_line) + " bytes");
  }
  if (found == std::string_view::npos) {
    scanned_ = input.size();
    return false;
  }
  scanned_ = 0;
  if (found == 0 || input[found - 1] != '\r') return Fail("line feed without carriage return");
  *line = input.substr(0, found - 1);
  return true;
}

bool ReplyReader::StartValue(std::string_view line, Reply* value, bool* complete) {
  if (line.empty()) return Fail("empty line where a reply should start");
  const char type = line.front();
  const std::string_view rest = line.substr(1);
  if (type != '|') value->attributes = std::exchange(attributes_, {});
  switch (type) {
    case '+':
      value->type = Reply::Type::kStatus;
      value->text = rest;
      return true;
    case '-':
      value->type = Reply::Type::kError;
      value->text = rest;
      return true;
    case ':':
      value->type = Reply::Type::kInteger;
      return ReadNumber(rest, &value->integer) || Fail("bad integer");
    case '_':
      return rest.empty() || Fail("bad null");
    case '#':
      value->type = Reply::Type::kBool;
      value->integer = rest == "t" ? 1 : 0;
      return rest == "t" || rest == "f" || Fail("bad boolean");
    case ',':
      value->type = Reply::Type::kDouble;
      value->text = rest;
      return ReadNumber(rest, &value->number) || Fail("bad double");
    case '(':
      value->type = Reply::Type::kBigNumber;
      value->text = rest;
      return IsBigNumber(rest) || Fail("bad big number");
    case '$':
    case '!':
    case '=':
      return StartBulk(type, rest, value, complete);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
      return StartAggregate(type, rest, value, complete);
    default: {
      char shown[64];
      std::snprintf(shown, sizeof shown, "byte 0x%02x starts no reply",
                    static_cast<unsigned>(static_cast<unsigned char>(type)));
      return Fail(shown);
    }
  }
}

bool ReplyReader::StartBulk(char type, std::string_view length, Reply* value, bool* complete) {
  if (length == "-1" && type == '$') return true;  // null, as a fresh Reply is
  if (!ReadNumber(length, &bulk_size_)) return Fail("bad string length");
  if (bulk_size_ > limits_.max_bulk) {
    return Fail("string longer than " + std::to_string(limits_.max_bulk) + " bytes");
  }
  value->type = type == '$'   ? Reply::Type::kString
                : type == '!' ? Reply::Type::kError
                              : Reply::Type::kVerbatim;
  bulk_ = std::move(*value);
  in_bulk_ = true;
  *complete = false;
  return true;
}

bool ReplyReader::FinishBulk(Reply* value) {
  const std::string_view input = input_.view();
  if (input.substr(bulk_size_, 2) != "\r\n") return Fail("string not followed by a line end");
  std::string_view text = input.substr(0, bulk_size_);
  *value = std::move(bulk_);
  if (value->type == Reply::Type::kVerbatim) {
    if (text.size() < 4 || text[3] != ':') return Fail("bad verbatim string");
    value->format = text.substr(0, 3);
    text.remove_prefix(4);
  }
  value->text = text;
  input_.Consume(bulk_size_ + 2);
  in_bulk_ = false;
  return true;
}

bool ReplyReader::StartAggregate(char type, std::string_view length, Reply* value, bool* complete) {
  if (length == "-1" && type == '*') {
    value->type = Reply::Type::kNullArray;
    return true;
  }
  size_t n = 0;
  if (!ReadNumber(length, &n)) return Fail("bad aggregate length");
  const bool pairs = type == '%' || type == '|';
  if (n > limits_.max_elements / (pairs ? 2 : 1)) {
    return Fail("more than " + std::to_string(limits_.max_elements) + " elements");
  }
  if (open_.size() >= limits_.max_depth) {
    return Fail("nested deeper than " + std::to_string(limits_.max_depth));
  }
  if (type == '|' && n == 0) {
    *complete = false;
    return true;
  }
  value->type = type == '*'   ? Reply::Type::kArray
                : type == '~' ? Reply::Type::kSet
                : type == '>' ? Reply::Type::kPush
                              : Reply::Type::kMap;
  if (n == 0) return true;
  // Attributes may come in several groups; they are collected for the value behind the last.
  if (type == '|') value->elements = std::exchange(attributes_, {});
  open_.push_back({std::move(*value), pairs ? 2 * n : n, type == '|'});
  *complete = false;
  return true;
}

// Puts a finished value where it belongs, and what it completes likewise. True: *top is a reply.
bool ReplyReader::Place(Reply value, Reply* top) {
  while (!open_.empty()) {
    Open& parent = open_.back();
    parent.reply.elements.push_back(std::move(value));
    if (--parent.missing > 0) return false;
    const bool attribute = parent.attribute;
    value = std::move(parent.reply);
    open_.pop_back();
    if (attribute) {
      attributes_ = std::move(value.elements);
      return false;
    }
  }
  *top = std::move(value);
  return true;
}

bool ReplyReader::Fail(std::string text) {
  failed_ = true;
  error_ = std::move(text);
  return false;
}

namespace {

void AppendText(const Reply& reply, std::string* out);

void AppendQuoted(std::string_view text, std::string* out) {
  *out += '"';
  for (char c : text) {
    switch (c) {
      case '"':
      case '\\':
        *out += '\\';
        *out += c;
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
          *out += c;
        } else {
          char hex[8];
          std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(byte));
          *out += hex;
        }
      }
    }
  }
  *out += '"';
}

void AppendList(std::string_view opening, const std::vector<Reply>& elements, std::string* out) {
  *out += opening;
  for (size_t i = 0; i < elements.size(); ++i) {
    if (i > 0) *out += ", ";
    AppendText(elements[i], out);
  }
  *out += ']';
}

void AppendPairs(const std::vector<Reply>& elements, std::string* out) {
  *out += '{';
  for (size_t i = 0; i < elements.size(); ++i) {
    if (i > 0) *out += i % 2 == 0 ? ", " : " => ";
    AppendText(elements[i], out);
  }
  *out += '}';
}

void AppendText(const Reply& reply, std::string* out) {
  if (!reply.attributes.empty()) {
    *out += "(attributes) ";
    AppendPairs(reply.attributes, out);
    *out += ' ';
  }
  switch (reply.type) {
    case Reply::Type::kNull:
    case Reply::Type::kNullArray:
      *out += "(nil)";
      return;
    case Reply::Type::kStatus:
      *out += reply.text;
      return;
    case Reply::Type::kError:
      *out += "(error) " + reply.text;
      return;
    case Reply::Type::kInteger:
      *out += "(integer) " + std::to_string(reply.integer);
      return;
    case Reply::Type::kString:
    case Reply::Type::kVerbatim:
      AppendQuoted(reply.text, out);
      return;
    case Reply::Type::kDouble:
      *out += "(double) " + reply.text;
      return;
    case Reply::Type::kBool:
      *out += reply.integer != 0 ? "(true)" : "(false)";
      return;
    case Reply::Type::kBigNumber:
      *out += "(big number) " + reply.text;
      return;
    case Reply::Type::kArray:
      AppendList("[", reply.elements, out);
      return;
    case Reply::Type::kSet:
      AppendList("~[", reply.elements, out);
      return;
    case Reply::Type::kPush:
      AppendList(">[", reply.elements, out);
      return;
    case Reply::Type::kMap:
      AppendPairs(reply.elements, out);
      return;
  }
}

}  // namespace

std::string ToText(const Reply& reply) {
  std::string out;
  AppendText(reply, &out);
  return out;
}

}  // namespace sluice::resp
