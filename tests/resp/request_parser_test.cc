#include "resp/request_parser.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "resp/buffer.h"

namespace sluice::resp {
namespace {

using namespace std::string_literals;
using Outcome = RequestParser::Outcome;
using Args = std::vector<std::string>;

// A connection as the parser sees it. Before every call the bytes move to a fresh allocation of
// just their size, so that whoever remembers an address or reads past the end is found out.
class Client {
 public:
  explicit Client(bool authenticated = true) { parser.set_authenticated(authenticated); }

  void Send(std::string_view bytes) {
    pending_ += bytes;
    while (error.empty()) {
      auto moved = std::make_unique<char[]>(pending_.size());
      if (!pending_.empty()) std::memcpy(moved.get(), pending_.data(), pending_.size());
      const Outcome outcome = parser.Parse({moved.get(), pending_.size()});
      if (outcome == Outcome::kError) {
        error = parser.error();
        return;
      }
      if (outcome == Outcome::kRequest) {
        requests.emplace_back(parser.args().begin(), parser.args().end());
        REQUIRE(!parser.args().empty());
        REQUIRE(parser.consumed() > 0);
      }
      REQUIRE(parser.consumed() <= pending_.size());
      pending_.erase(0, parser.consumed());
      if (outcome == Outcome::kNeedMore) {
        REQUIRE(parser.wanted() > pending_.size());
        return;
      }
    }
  }

  size_t left() const { return pending_.size(); }

  RequestParser parser;
  std::vector<Args> requests;
  std::string error;

 private:
  std::string pending_;
};

std::string ErrorOf(std::string_view bytes, bool authenticated = true) {
  Client client(authenticated);
  client.Send(bytes);
  return client.error;
}

Args Inline(std::string_view line) {
  Client client;
  client.Send(std::string(line) + "\r\n");
  CHECK(client.error == "");
  REQUIRE(client.requests.size() == 1);
  return client.requests[0];
}

TEST_CASE("arrays of bulk strings") {
  Client client;
  client.Send("*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
  CHECK(client.requests == std::vector<Args>{{"PING"}, {"SET", "k", ""}});
  CHECK(client.left() == 0);
  CHECK(client.parser.idle());
}

TEST_CASE("bulk strings carry any byte") {
  const std::string binary = "\0\r\n*\xff$"s;
  Client client;
  client.Send("*2\r\n$4\r\nECHO\r\n$6\r\n" + binary + "\r\n");
  CHECK(client.requests == std::vector<Args>{{"ECHO", binary}});
}

TEST_CASE("where Redis does not look, neither do we") {
  Client client;
  client.Send("*1\rX$4\rYPINGab*2\r\n$4\r\nPING\r\n$1\r\naXY");
  CHECK(client.requests == std::vector<Args>{{"PING"}, {"PING", "a"}});
}

TEST_CASE("empty requests pass without a word") {
  for (const char* empty : {"*0\r\n", "*-1\r\n", "*-5\r\n", "*-9223372036854775808\r\n", "\r\n",
                            "\n", "   \r\n", "\r\r\n", "\t\v\f\n"}) {
    CAPTURE(empty);
    Client client;
    client.Send(std::string(empty) + empty + "*1\r\n$4\r\nPING\r\n" + empty);
    CHECK(client.requests == std::vector<Args>{{"PING"}});
    CHECK(client.left() == 0);
    CHECK(client.parser.idle());
  }
}

TEST_CASE("every cut of a stream gives the same requests") {
  const std::vector<std::string> streams = {
      "*3\r\n$5\r\nLPUSH\r\n$1\r\nk\r\n$11\r\nhello world\r\n*1\r\n$4\r\nPING\r\n",
      "*0\r\n\r\n*2\r\n$0\r\n\r\n$3\r\na\0b\r\n"s,
      "PING\r\nSET k \"a b\\x41\" 'c d'\n\r\n  GET  k\r\r\n",
      "*12\r\n$1\r\na\r\n$2\r\nbb\r\n$10\r\n0123456789\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n"
      "$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n$1\r\nk\r\n$1\r\nl\r\nPING\r\n",
      "*1\r\n$4\r\nPING\r\n*1\r\n$x\r\n",
      "*1\r\n:4\r\n",
      "PING\r\n*01\r\n",
      "ECHO \"a\r\n",
  };
  for (const std::string& stream : streams) {
    CAPTURE(stream);
    Client whole;
    whole.Send(stream);
    Client bytewise;
    for (char byte : stream) bytewise.Send({&byte, 1});
    CHECK(bytewise.requests == whole.requests);
    CHECK(bytewise.error == whole.error);
    for (size_t first = 0; first <= stream.size(); ++first) {
      for (size_t second = first; second <= stream.size(); ++second) {
        Client cut;
        cut.Send(stream.substr(0, first));
        cut.Send(stream.substr(first, second - first));
        cut.Send(stream.substr(second));
        REQUIRE(cut.requests == whole.requests);
        REQUIRE(cut.error == whole.error);
        REQUIRE(cut.left() == whole.left());
      }
    }
  }
}

TEST_CASE("the parser says how much it wants") {
  RequestParser parser;
  CHECK(parser.Parse("") == Outcome::kNeedMore);
  CHECK(parser.wanted() == 1);
  CHECK(parser.Parse("*2\r\n$1000000\r\nab") == Outcome::kNeedMore);
  CHECK(parser.wanted() == 14 + 1000000 + 2);
  CHECK_FALSE(parser.idle());
}

TEST_CASE("a count announces nothing that is paid for in advance") {
  Client client;
  client.Send("*2147483647\r\n$1\r\na\r\n");
  CHECK(client.error == "");
  CHECK(client.requests.empty());
  CHECK(client.parser.wanted() < 100);
}

TEST_CASE("a bad count") {
  const std::string error = "ERR Protocol error: invalid multibulk length";
  for (const char* count : {"-0", "+1", "01", "00", " 1", "1 ", "", "a", "-", "1\n", "1x",
                            "2147483648", "9223372036854775807", "9223372036854775808",
                            "-9223372036854775809", "99999999999999999999999"}) {
    CAPTURE(count);
    CHECK(ErrorOf(std::string("*") + count + "\r\n") == error);
  }
  CHECK(ErrorOf("*2147483647\r\n") == "");
  CHECK(ErrorOf("*999999999\r\n") == "");
  CHECK(ErrorOf("*1000000000\r\n") == "");
}

TEST_CASE("a bad bulk length") {
  const std::string error = "ERR Protocol error: invalid bulk length";
  for (const char* length : {"-1", "-0", "+4", "04", " 4", "4 ", "", "a", "536870913", "9999999999",
                             "99999999999999999999999"}) {
    CAPTURE(length);
    CHECK(ErrorOf(std::string("*1\r\n$") + length + "\r\n") == error);
  }
  CHECK(ErrorOf("*1\r\n$536870912\r\n") == "");
}

TEST_CASE("proto-max-bulk-len can be changed") {
  Client client;
  client.parser.set_max_bulk(10);
  client.Send("*1\r\n$10\r\n0123456789\r\n");
  CHECK(client.requests.size() == 1);
  client.Send("*1\r\n$11\r\n");
  CHECK(client.error == "ERR Protocol error: invalid bulk length");

  Client large;
  large.parser.set_max_bulk(SIZE_MAX);
  large.Send("*1\r\n$9223372036854775807\r\n");
  CHECK(large.error == "");
}

TEST_CASE("something other than a bulk string") {
  CHECK(ErrorOf("*1\r\nPING\r\n") == "ERR Protocol error: expected '$', got 'P'");
  CHECK(ErrorOf("*1\r\n:4\r\n") == "ERR Protocol error: expected '$', got ':'");
  CHECK(ErrorOf("*1\r\n'4\r\n") == "ERR Protocol error: expected '$', got '''");
  CHECK(ErrorOf("*1\r\n\xff\r\n") == "ERR Protocol error: expected '$', got '\xff'");
  CHECK(ErrorOf("*1\r\n\r\n") == "ERR Protocol error: expected '$', got ' '");
  CHECK(ErrorOf("*1\r\n\n\r\n") == "ERR Protocol error: expected '$', got ' '");
  CHECK(ErrorOf("*1048577\r\n*1\r\n") == "ERR Protocol error: expected '$', got '*'");
  CHECK(ErrorOf("*1\r\nPING\n") == "");
}

TEST_CASE("lines without an end in sight") {
  const std::string ones(RequestParser::kMaxLine, '1');
  CHECK(ErrorOf("*" + ones.substr(1)) == "");
  CHECK(ErrorOf("*" + ones) == "ERR Protocol error: too big mbulk count string");
  CHECK(ErrorOf("*" + ones + "\r\n") == "ERR Protocol error: invalid multibulk length");
  CHECK(ErrorOf("*1\r\n$" + ones.substr(1)) == "");
  CHECK(ErrorOf("*1\r\n$" + ones) == "ERR Protocol error: too big bulk count string");
  CHECK(ErrorOf(ones) == "");
  CHECK(ErrorOf(ones + "1") == "ERR Protocol error: too big inline request");
  CHECK(Inline("ECHO " + ones) == Args{"ECHO", ones});
}

TEST_CASE("a NUL hides the rest of its line") {
  for (const std::string& bytes : {"ECHO a\0b\r\n"s, "*1\0\r\n"s, "*1\r\n$4\0\r\n"s, "\0\r\n"s}) {
    Client client;
    client.Send(bytes);
    CHECK(client.error == "");
    CHECK(client.requests.empty());
    client.Send("\r\nPING\r\n");
    CHECK(client.requests.empty());
    client.Send(std::string(RequestParser::kMaxLine, '\n'));
    CHECK(client.error.starts_with("ERR Protocol error: too big "));
  }
}

TEST_CASE("strangers may not ask for much") {
  CHECK(ErrorOf("*10\r\n", false) == "");
  CHECK(ErrorOf("*11\r\n", false) == "ERR Protocol error: unauthenticated multibulk length");
  CHECK(ErrorOf("*-11\r\n", false) == "");
  CHECK(ErrorOf("*9999999999\r\n", false) == "ERR Protocol error: invalid multibulk length");
  CHECK(ErrorOf("*1\r\n$16384\r\n", false) == "");
  CHECK(ErrorOf("*1\r\n$16385\r\n", false) == "ERR Protocol error: unauthenticated bulk length");
  CHECK(ErrorOf("*1\r\n$999999999999\r\n", false) == "ERR Protocol error: invalid bulk length");
  CHECK(ErrorOf("a b c d e f g h i j k l\r\n", false) == "");

  Client client(false);
  client.Send("*1\r\n$4\r\nAUTH\r\n");
  client.parser.set_authenticated(true);
  client.Send("*11\r\n$20000\r\n");
  CHECK(client.error == "");
}

TEST_CASE("inline words") {
  CHECK(Inline("PING") == Args{"PING"});
  CHECK(Inline("  set\tkey   value  ") == Args{"set", "key", "value"});
  CHECK(Inline("a\rb") == Args{"a", "b"});
  CHECK(Inline("PING\v\f") == Args{"PING\v\f"});
  CHECK(Inline("\v\fPING") == Args{"PING"});
  CHECK(Inline("ECHO a\xa0\x85") == Args{"ECHO", "a\xa0\x85"});
  CHECK(Inline("a\\\\b \\n") == Args{"a\\\\b", "\\n"});
}

TEST_CASE("inline double quotes") {
  CHECK(Inline(R"(ECHO "a b")") == Args{"ECHO", "a b"});
  CHECK(Inline(R"(ECHO "a\nb\r\t\b\a\x41\xzz\q\"\\")") == Args{"ECHO", "a\nb\r\t\b\aAxzzq\"\\"});
  CHECK(Inline(R"(ECHO "\x4" "\x4g" "\x4A\xfF" "\x00")") ==
        Args{"ECHO", "x4", "x4g", "J\xff", "\0"s});
  CHECK(Inline(R"("" '' a)") == Args{"", "", "a"});
  CHECK(Inline(R"(ECHO a"b c")") == Args{"ECHO", "ab c"});
  CHECK(Inline("ECHO \"a\"\vb") == Args{"ECHO", "a", "b"});
  CHECK(Inline(R"(ECHO "it's")") == Args{"ECHO", "it's"});
}

TEST_CASE("inline single quotes") {
  CHECK(Inline(R"(ECHO 'a\'b\n"\\x')") == Args{"ECHO", "a'b\\n\"\\\\x"});
  CHECK(Inline(R"(ECHO a'b c' d)") == Args{"ECHO", "ab c", "d"});
}

TEST_CASE("inline quotes left open or followed by text") {
  for (const char* line :
       {"ECHO \"a", "ECHO 'a", "ECHO \"a\"b", "ECHO 'a'b", "ECHO a\\\"b", "ECHO \"abc\\",
        "ECHO 'abc\\", "ECHO 'abc\\'", "ECHO 'abc\\\\'", "ECHO a\"", "\"", "ECHO \"a\"\xa0",
        "ECHO a'b c'd", "ECHO \"a\"'b'", "ECHO \"\\x4"}) {
    CAPTURE(line);
    CHECK(ErrorOf(std::string(line) + "\r\n") ==
          "ERR Protocol error: unbalanced quotes in request");
  }
}

TEST_CASE("an error is final until reset") {
  RequestParser parser;
  CHECK(parser.Parse("*x\r\n") == Outcome::kError);
  CHECK(parser.Parse("*1\r\n$4\r\nPING\r\n") == Outcome::kError);
  CHECK(parser.error() == "ERR Protocol error: invalid multibulk length");
  parser.Reset();
  CHECK(parser.Parse("*1\r\n$4\r\nPING\r\n") == Outcome::kRequest);
  CHECK(parser.args()[0] == "PING");
}

TEST_CASE("arguments are views of the input") {
  const std::string_view input = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
  RequestParser parser;
  REQUIRE(parser.Parse(input) == Outcome::kRequest);
  CHECK(parser.args()[1].data() == input.data() + 17);
  parser.Shrink();
  CHECK(parser.args().empty());
}

TEST_CASE("a megabyte sent a byte at a time is looked at once") {
  // Quadratic work would take minutes.
  std::string input = "*3\r\n$4\r\nECHO\r\n$1000000\r\n" + std::string(1000000, 'x') + "\r\n$1\r\n";
  RequestParser parser;
  for (size_t n = 0; n <= input.size(); ++n) {
    REQUIRE(parser.Parse({input.data(), n}) == Outcome::kNeedMore);
  }
  input += "y\r\n";
  REQUIRE(parser.Parse(input) == Outcome::kRequest);
  CHECK(parser.args()[1].size() == 1000000);
  CHECK(parser.args()[2] == "y");

  std::string many = "*100000\r\n";
  for (int i = 0; i < 100000; ++i) many += "$1\r\nx\r\n";
  parser.Reset();
  for (size_t n = 0; n < many.size(); ++n) {
    REQUIRE(parser.Parse({many.data(), n}) == Outcome::kNeedMore);
  }
  REQUIRE(parser.Parse(many) == Outcome::kRequest);
  CHECK(parser.args().size() == 100000);
  CHECK(parser.args()[99999] == "x");
}

}  // namespace
}  // namespace sluice::resp
