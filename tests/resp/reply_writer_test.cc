#include "resp/reply_writer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <random>
#include <string>

namespace sluice::resp {
namespace {

using Write = std::function<void(ReplyWriter&)>;

std::string Bytes(int protocol, const Write& write) {
  Buffer buffer;
  ReplyWriter writer(&buffer, protocol);
  write(writer);
  return std::string(buffer.view());
}

void Expect(const Write& write, const std::string& resp2, const std::string& resp3) {
  CHECK(Bytes(2, write) == resp2);
  CHECK(Bytes(3, write) == resp3);
}

void Expect(const Write& write, const std::string& both) { Expect(write, both, both); }

TEST_CASE("what is the same in both protocols") {
  Expect([](auto& w) { w.SimpleString("PONG"); }, "+PONG\r\n");
  Expect([](auto& w) { w.SimpleString(""); }, "+\r\n");
  Expect([](auto& w) { w.Ok(); }, "+OK\r\n");
  Expect([](auto& w) { w.Error("ERR no such key"); }, "-ERR no such key\r\n");
  Expect([](auto& w) { w.Bulk("a\r\nb"); }, "$4\r\na\r\nb\r\n");
  Expect([](auto& w) { w.Bulk({}); }, "$0\r\n\r\n");
  Expect([](auto& w) { w.Bulk(std::string(1234, 'x')); },
         "$1234\r\n" + std::string(1234, 'x') + "\r\n");
  Expect([](auto& w) { w.ArrayHeader(0); }, "*0\r\n");
  Expect([](auto& w) { w.ArrayHeader(1048576); }, "*1048576\r\n");
  Expect([](auto& w) { w.Raw("+x\r\n"); }, "+x\r\n");
}

TEST_CASE("line breaks cannot end a line early") {
  Expect([](auto& w) { w.Error("ERR a\r\nb\r\n"); }, "-ERR a  b\r\n");
  Expect([](auto& w) { w.Error("\r\n"); }, "-\r\n");
  Expect([](auto& w) { w.SimpleString("a\r\nb\r\n"); }, "+a  b  \r\n");
}

TEST_CASE("what RESP2 lacks becomes what Redis sends instead") {
  Expect([](auto& w) { w.Null(); }, "$-1\r\n", "_\r\n");
  Expect([](auto& w) { w.NullArray(); }, "*-1\r\n", "_\r\n");
  Expect([](auto& w) { w.Bool(true); }, ":1\r\n", "#t\r\n");
  Expect([](auto& w) { w.Bool(false); }, ":0\r\n", "#f\r\n");
  Expect([](auto& w) { w.MapHeader(3); }, "*6\r\n", "%3\r\n");
  Expect([](auto& w) { w.SetHeader(3); }, "*3\r\n", "~3\r\n");
  Expect([](auto& w) { w.PushHeader(3); }, "*3\r\n", ">3\r\n");
  Expect([](auto& w) { w.BigNumber("-123"); }, "$4\r\n-123\r\n", "(-123\r\n");
  Expect([](auto& w) { w.BigNumber("12\r\n3"); }, "$5\r\n12\r\n3\r\n", "(12  3\r\n");
  Expect([](auto& w) { w.Verbatim("txt", "a\nb"); }, "$3\r\na\nb\r\n", "=7\r\ntxt:a\nb\r\n");
  Expect([](auto& w) { w.Double(0.5); }, "$3\r\n0.5\r\n", ",0.5\r\n");
  Expect([](auto& w) { w.DoubleText("13.36138933897018433"); }, "$20\r\n13.36138933897018433\r\n",
         ",13.36138933897018433\r\n");
  CHECK(Bytes(3, [](auto& w) { w.AttributeHeader(1); }) == "|1\r\n");
}

TEST_CASE("integers of every length") {
  const auto check = [](int64_t n) {
    const std::string digits = std::to_string(n);
    CHECK(Bytes(2, [n](auto& w) { w.Integer(n); }) == ":" + digits + "\r\n");
    CHECK(Bytes(3, [n](auto& w) { w.BulkInteger(n); }) ==
          "$" + std::to_string(digits.size()) + "\r\n" + digits + "\r\n");
  };
  for (int64_t n = -1100; n <= 1100; ++n) check(n);
  for (int64_t power = 1; power <= std::numeric_limits<int64_t>::max() / 10; power *= 10) {
    for (int64_t n : {power - 1, power, power + 1, power * 9}) {
      check(n);
      check(-n);
    }
  }
  check(std::numeric_limits<int64_t>::max());
  check(std::numeric_limits<int64_t>::min());
}

std::string Spell(double value) {
  char digits[32];
  return std::string(digits, FormatDouble(value, digits));
}

TEST_CASE("doubles are spelled as Redis 7.0 spells them") {
  CHECK(Spell(0.1) == "0.10000000000000001");
  CHECK(Spell(3) == "3");
  CHECK(Spell(-3) == "-3");
  CHECK(Spell(3.141) == "3.141");
  CHECK(Spell(0.0) == "0");
  CHECK(Spell(-0.0) == "-0");
  CHECK(Spell(1e15) == "1000000000000000");
  CHECK(Spell(1e16) == "10000000000000000");
  CHECK(Spell(1e17) == "1e+17");
  CHECK(Spell(99999999999999984.0) == "99999999999999984");
  CHECK(Spell(123456789012345678.0) == "1.2345678901234568e+17");
  CHECK(Spell(1e100) == "1e+100");
  CHECK(Spell(1e-5) == "1.0000000000000001e-05");
  CHECK(Spell(0.0001) == "0.0001");
  CHECK(Spell(5e-324) == "4.9406564584124654e-324");
  CHECK(Spell(-1.7976931348623157e308) == "-1.7976931348623157e+308");
  CHECK(Spell(HUGE_VAL) == "inf");
  CHECK(Spell(-HUGE_VAL) == "-inf");
  CHECK(Spell(std::copysign(NAN, 1.0)) == "nan");
  CHECK(Spell(std::copysign(NAN, -1.0)) == "-nan");
  std::mt19937_64 random(1);
  for (int i = 0; i < 100000; ++i) {
    const double value =
        i % 2 == 0
            ? std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 200) - 100)
            : static_cast<double>(static_cast<int64_t>(random()) >> (random() % 60));
    char printed[40];
    std::snprintf(printed, sizeof printed, "%.17g", value);
    REQUIRE(Spell(value) == printed);
  }
}

TEST_CASE("deferred lengths") {
  for (size_t expected : {0, 5, 10, 99, 100000}) {
    for (size_t n : {0, 1, 9, 10, 11, 12345}) {
      CAPTURE(expected);
      CAPTURE(n);
      const Write array = [=](auto& w) {
        w.Ok();
        const size_t mark = w.BeginArray(expected);
        for (size_t i = 0; i < n; ++i) w.Integer(7);
        w.EndArray(mark, n);
        w.Ok();
      };
      std::string sevens;
      for (size_t i = 0; i < n; ++i) sevens += ":7\r\n";
      Expect(array, "+OK\r\n*" + std::to_string(n) + "\r\n" + sevens + "+OK\r\n");
    }
  }
  const Write nested = [](auto& w) {
    const size_t map = w.BeginMap();
    for (int i = 0; i < 6; ++i) {
      w.Integer(i);
      const size_t set = w.BeginSet();
      w.Bulk("m");
      w.EndSet(set, 1);
    }
    w.EndMap(map, 6);
  };
  std::string two = "*12\r\n";
  std::string three = "%6\r\n";
  for (int i = 0; i < 6; ++i) {
    two += ":" + std::to_string(i) + "\r\n*1\r\n$1\r\nm\r\n";
    three += ":" + std::to_string(i) + "\r\n~1\r\n$1\r\nm\r\n";
  }
  Expect(nested, two, three);
  Expect(
      [](auto& w) {
        w.Ok();
        const size_t mark = w.BeginArray();
        w.Integer(1);
        w.Abandon(mark);
        w.NullArray();
      },
      "+OK\r\n*-1\r\n", "+OK\r\n_\r\n");
}

TEST_CASE("a mark survives what was already sent being gone") {
  Buffer buffer;
  ReplyWriter writer(&buffer);
  writer.Bulk("gone");
  writer.Ok();
  buffer.Consume(10);
  const size_t mark = writer.BeginArray();
  for (int i = 0; i < 1000; ++i) writer.Integer(i);
  writer.EndArray(mark, 1000);
  CHECK(buffer.view().starts_with("+OK\r\n*1000\r\n:0\r\n:1\r\n"));
  CHECK(buffer.view().ends_with("\r\n:999\r\n"));
}

}  // namespace
}  // namespace sluice::resp
