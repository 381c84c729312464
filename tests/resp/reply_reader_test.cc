#include "resp/reply_reader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "resp/reply_writer.h"

namespace sluice::resp {
namespace {

using namespace std::string_literals;
using Outcome = ReplyReader::Outcome;

// The replies in `bytes`, fed `step` at a time, each as text and joined with " | "; an error ends
// them.
std::string Texts(std::string_view bytes, size_t step = SIZE_MAX,
                  const ReplyReader::Limits& limits = {}) {
  ReplyReader reader(limits);
  std::string texts;
  Reply reply;
  while (true) {
    switch (reader.Next(&reply)) {
      case Outcome::kReply:
        texts += (texts.empty() ? "" : " | ") + ToText(reply);
        continue;
      case Outcome::kError:
        return texts + (texts.empty() ? "" : " | ") + "!! " + std::string(reader.error());
      case Outcome::kNeedMore:
        break;
    }
    if (bytes.empty()) return texts + (reader.empty() ? "" : " ...");
    reader.Feed(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
}

TEST_CASE("every type") {
  CHECK(Texts("+OK\r\n") == "OK");
  CHECK(Texts("-ERR no\r\n") == "(error) ERR no");
  CHECK(Texts("!6\r\nERR no\r\n") == "(error) ERR no");
  CHECK(Texts(":-9223372036854775808\r\n") == "(integer) -9223372036854775808");
  CHECK(Texts("$6\r\na\r\n\"\0\xff\r\n"s) == R"("a\r\n\"\x00\xff")");
  CHECK(Texts("$-1\r\n*-1\r\n_\r\n") == "(nil) | (nil) | (nil)");
  CHECK(Texts(",0.5\r\n,inf\r\n,-inf\r\n,nan\r\n,-nan\r\n,4.9406564584124654e-324\r\n") ==
        "(double) 0.5 | (double) inf | (double) -inf | (double) nan | (double) -nan | "
        "(double) 4.9406564584124654e-324");
  CHECK(Texts("#t\r\n#f\r\n") == "(true) | (false)");
  CHECK(Texts("(-123456789012345678901234567890\r\n") ==
        "(big number) -123456789012345678901234567890");
  CHECK(Texts("=7\r\ntxt:a\tb\r\n") == R"("a\tb")");
  CHECK(Texts("*0\r\n*2\r\n:1\r\n*1\r\n$1\r\na\r\n") == R"([] | [(integer) 1, ["a"]])");
  CHECK(Texts("%2\r\n+a\r\n:1\r\n+b\r\n_\r\n") == "{a => (integer) 1, b => (nil)}");
  CHECK(Texts("~2\r\n:1\r\n:2\r\n") == "~[(integer) 1, (integer) 2]");
  CHECK(Texts(">2\r\n+message\r\n:2\r\n") == ">[message, (integer) 2]");
}

TEST_CASE("the tree behind the text") {
  ReplyReader reader;
  Reply reply;
  reader.Feed("%1\r\n=7\r\nmkd:abc\r\n,2.5\r\n*-1\r\n");
  REQUIRE(reader.Next(&reply) == Outcome::kReply);
  CHECK(reply.type == Reply::Type::kMap);
  REQUIRE(reply.elements.size() == 2);
  CHECK(reply.elements[0].type == Reply::Type::kVerbatim);
  CHECK(reply.elements[0].format == "mkd");
  CHECK(reply.elements[0].text == "abc");
  CHECK(reply.elements[1].number == 2.5);
  REQUIRE(reader.Next(&reply) == Outcome::kReply);
  CHECK(reply.type == Reply::Type::kNullArray);
  CHECK(reply.IsNull());
  CHECK(reply.elements.empty());
  CHECK(reader.Next(&reply) == Outcome::kNeedMore);
  CHECK(reader.empty());
}

TEST_CASE("attributes belong to the value behind them") {
  CHECK(Texts("|1\r\n+ttl\r\n:9\r\n$1\r\na\r\n") == R"((attributes) {ttl => (integer) 9} "a")");
  CHECK(Texts("*2\r\n:1\r\n|1\r\n+k\r\n+v\r\n*1\r\n:2\r\n") ==
        "[(integer) 1, (attributes) {k => v} [(integer) 2]]");
  CHECK(Texts("|1\r\n+a\r\n+b\r\n|1\r\n+c\r\n+d\r\n|0\r\n:1\r\n") ==
        "(attributes) {a => b, c => d} (integer) 1");
  CHECK(Texts("|1\r\n+a\r\n+b\r\n") == " ...");
}

TEST_CASE("any cut gives the same replies") {
  const std::string bytes =
      "*3\r\n$5\r\nhello\r\n|1\r\n+k\r\n%1\r\n+a\r\n:1\r\n~2\r\n$0\r\n\r\n_\r\n=5\r\ntxt:x\r\n"
      "+OK\r\n-ERR\r\n:12\r\n";
  const std::string whole = Texts(bytes);
  CHECK(whole.ends_with("(integer) 12"));
  for (size_t step = 1; step < bytes.size(); ++step) CHECK(Texts(bytes, step) == whole);
}

TEST_CASE("what is no RESP") {
  CHECK(Texts("x\r\n") == "!! byte 0x78 starts no reply");
  CHECK(Texts("\r\n") == "!! empty line where a reply should start");
  CHECK(Texts("+OK\n") == "!! line feed without carriage return");
  CHECK(Texts("+a\r\n:x\r\n") == "a | !! bad integer");
  CHECK(Texts(":+-1\r\n") == "!! bad integer");
  CHECK(Texts(":9223372036854775808\r\n") == "!! bad integer");
  CHECK(Texts("$-2\r\n") == "!! bad string length");
  CHECK(Texts("!-1\r\n") == "!! bad string length");
  CHECK(Texts("$?\r\n") == "!! bad string length");
  CHECK(Texts("$1\r\nab\r\n") == "!! string not followed by a line end");
  CHECK(Texts("=3\r\nabc\r\n") == "!! bad verbatim string");
  CHECK(Texts("*x\r\n") == "!! bad aggregate length");
  CHECK(Texts("%-1\r\n") == "!! bad aggregate length");
  CHECK(Texts("_x\r\n") == "!! bad null");
  CHECK(Texts("#x\r\n") == "!! bad boolean");
  CHECK(Texts(",\r\n") == "!! bad double");
  CHECK(Texts("(1.5\r\n") == "!! bad big number");
}

TEST_CASE("limits") {
  std::string deep;
  for (int i = 0; i < 128; ++i) deep += "*1\r\n";
  CHECK(Texts(deep + ":1\r\n").starts_with("[[[["));
  CHECK(Texts(deep + "*1\r\n:1\r\n") == "!! nested deeper than 128");
  const ReplyReader::Limits small{.max_depth = 1, .max_elements = 3, .max_bulk = 4, .max_line = 10};
  CHECK(Texts("$5\r\n", SIZE_MAX, small) == "!! string longer than 4 bytes");
  CHECK(Texts("*4\r\n", SIZE_MAX, small) == "!! more than 3 elements");
  CHECK(Texts("%2\r\n", SIZE_MAX, small) == "!! more than 3 elements");
  CHECK(Texts("+0123456789\r\n", SIZE_MAX, small) == "!! line longer than 10 bytes");
  CHECK(Texts("+0123456789", 1, small) == "!! line longer than 10 bytes");
  CHECK(Texts("*1000000000\r\n") == " ...");
}

TEST_CASE("what the writer writes the reader reads") {
  for (int protocol : {2, 3}) {
    CAPTURE(protocol);
    Buffer buffer;
    ReplyWriter writer(&buffer, protocol);
    const size_t all = writer.BeginArray();
    writer.SimpleString("PONG");
    writer.Error("ERR a\r\nb");
    writer.Integer(-42);
    writer.Bulk("b\r\n");
    writer.BulkInteger(7);
    writer.Null();
    writer.NullArray();
    writer.Double(0.1);
    writer.Bool(true);
    writer.BigNumber("123");
    writer.Verbatim("txt", "v");
    writer.MapHeader(1);
    writer.Bulk("k");
    writer.Bool(false);
    writer.SetHeader(1);
    writer.Bulk("m");
    writer.EndArray(all, 13);
    writer.PushHeader(1);
    writer.Integer(1);
    const std::string two =
        R"([PONG, (error) ERR a  b, (integer) -42, "b\r\n", "7", (nil), (nil), )"
        R"("0.10000000000000001", (integer) 1, "123", "v", ["k", (integer) 0], ["m"]] | )"
        R"([(integer) 1])";
    const std::string three =
        R"([PONG, (error) ERR a  b, (integer) -42, "b\r\n", "7", (nil), (nil), )"
        R"((double) 0.10000000000000001, (true), (big number) 123, "v", {"k" => (false)}, )"
        R"(~["m"]] | >[(integer) 1])";
    CHECK(Texts(buffer.view()) == (protocol == 2 ? two : three));
    CHECK(Texts(buffer.view(), 1) == (protocol == 2 ? two : three));
  }
}

}  // namespace
}  // namespace sluice::resp
