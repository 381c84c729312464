#include "src/engine/categories.h"
#include "src/engine/syntax.h"
#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
};

std::string Arguments(std::string_view syntax) {
  resp::Buffer buffer;
  WriteArguments(syntax, resp::ReplyWriter(&buffer, 3));
  resp::ReplyReader reader;
  reader.Feed(buffer.view());
  resp::Reply reply;
  REQUIRE(reader.Next(&reply) == resp::ReplyReader::Outcome::kReply);
  return resp::ToText(reply);
}

}  // namespace

TEST_CASE("the notation of arguments") {
  CHECK(Arguments("key") ==
        "[{\"name\" => \"key\", \"type\" => \"key\", \"key_spec_index\" => (integer) 0}]");
  CHECK(Arguments("to:key1") ==
        "[{\"name\" => \"to\", \"type\" => \"key\", \"key_spec_index\" => (integer) 1}]");
  CHECK(Arguments("'ip:port'@<2.8.12") ==
        "[{\"name\" => \"ip:port\", \"type\" => \"string\", \"deprecated_since\" => \"2.8.12\"}]");
  CHECK(Arguments("[COUNT=n:int@6.2.0]") ==
        "[{\"name\" => \"n\", \"type\" => \"integer\", \"token\" => \"COUNT\", \"since\" => "
        "\"6.2.0\", \"flags\" => ~[optional]}]");
  CHECK(Arguments("[GET=pattern:pattern]...") ==
        "[{\"name\" => \"pattern\", \"type\" => \"pattern\", \"token\" => \"GET\", \"flags\" => "
        "~[optional, multiple, multiple_token]}]");
  CHECK(Arguments("op(=!equal|~!about)") ==
        "[{\"name\" => \"op\", \"type\" => \"oneof\", \"arguments\" => [{\"name\" => \"equal\", "
        "\"type\" => \"pure-token\", \"token\" => \"=\"}, {\"name\" => \"about\", \"type\" => "
        "\"pure-token\", \"token\" => \"~\"}]}]");
  CHECK(Arguments("pair(field value)...") ==
        "[{\"name\" => \"pair\", \"type\" => \"block\", \"flags\" => ~[multiple], \"arguments\" "
        "=> [{\"name\" => \"field\", \"type\" => \"string\"}, {\"name\" => \"value\", \"type\" => "
        "\"string\"}]}]");
}

TEST_CASE("the notation for people") {
  CHECK(Synopsis("key value [condition(NX|XX)@2.6.12] [expiration(EX=seconds:int|KEEPTTL)]") ==
        "key value [NX | XX] [EX seconds | KEEPTTL]");
  CHECK(Synopsis("key element...") == "key element [element ...]");
  CHECK(Synopsis("[GET=pattern:pattern]... where(LEFT|RIGHT)") ==
        "[GET pattern [GET pattern ...]] <LEFT | RIGHT>");
}

TEST_CASE_FIXTURE(Fixture, "every row is fit to be shown") {
  const CommandTable& table = server.engine().table();
  for (int i = 0; i < table.size(); ++i) {
    const Row& row = table.at(i);
    CAPTURE(row.name);
    CHECK(!row.summary.empty());
    CHECK(!row.since.empty());
    CHECK(row.arity != 0);
    CHECK((row.handler || !row.subcommands.empty()));
    if (!row.syntax.empty()) CHECK(Arguments(row.syntax).size() > 2);
    for (const KeySpec& k : row.keys) CHECK((k.index > 0 || k.keyword || k.find == k.kUnknown));
  }
}

TEST_CASE_FIXTURE(Fixture, "categories follow from flags and group, or from the row") {
  auto in = [&](std::string_view name, std::string_view category) {
    return (CategoriesOf(*server.engine().table().Find(name)) & CategoryNamed(category)) != 0;
  };
  CHECK(in("get", "read"));
  CHECK(in("get", "fast"));
  CHECK(in("lpush", "LIST"));
  CHECK(in("blpop", "blocking"));
  CHECK(in("shutdown", "dangerous"));
  CHECK(in("keys", "dangerous"));
  CHECK(in("wait", "connection"));
  CHECK_FALSE(in("wait", "keyspace"));
  CHECK_FALSE(in("client", "connection"));
  CHECK(CategoryNamed("nonsense") == 0);
}

TEST_CASE_FIXTURE(Fixture, "COMMAND GETKEYS") {
  CHECK(c("COMMAND GETKEYS mset a 1 b 2") == "[\"a\", \"b\"]");
  CHECK(c("COMMAND GETKEYS lmpop 2 a b LEFT") == "[\"a\", \"b\"]");
  CHECK(c("COMMAND GETKEYS lmpop 4 a b LEFT") ==
        "(error) ERR Invalid arguments specified for command");
  CHECK(c("COMMAND GETKEYS ping x") == "(error) ERR The command has no key arguments");
  CHECK(c("COMMAND GETKEYS get a b") ==
        "(error) ERR Invalid number of arguments specified for command");
  CHECK(c("COMMAND GETKEYS nonsense a") == "(error) ERR Invalid command specified");
  CHECK(c("COMMAND GETKEYSANDFLAGS set k v") == "[[\"k\", [OW, update]]]");
  CHECK(c("COMMAND GETKEYSANDFLAGS set k v GET") == "[[\"k\", [RW, access, update]]]");
}

TEST_CASE_FIXTURE(Fixture, "COMMAND INFO, DOCS and LIST take subcommands by their full names") {
  CHECK(c("COMMAND INFO nonsense") == "[(nil)]");
  CHECK(c("COMMAND INFO CONFIG|get").starts_with("[[\"config|get\", (integer) -3, "));
  CHECK(c("COMMAND DOCS nonsense") == "[]");
  CHECK(c("COMMAND LIST FILTERBY PATTERN config|re*") ==
        "[\"config|resetstat\", \"config|rewrite\"]");
  CHECK(c("COMMAND LIST FILTERBY MODULE x") == "[]");
  CHECK(c("CONFIG HELP")
            .starts_with("[CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands "
                         "are:, GET parameter [parameter ...], "));
}
