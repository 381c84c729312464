#include "src/net/http.h"

#include <event2/buffer.h>
#include <event2/http.h>

#include <cerrno>
#include <cstring>

#include "resp/reply_reader.h"
#include "src/net/metrics.h"
#include "src/net/server.h"

namespace sluice {
namespace {

constexpr int kTimeoutSeconds = 10;
constexpr int kMaxHeaderBytes = 8192;
constexpr int kMaxBodyBytes = 1024;

constexpr std::string_view kIndex =
    "Sluice. Its numbers are at /metrics, in Prometheus's text format.\n";

void Send(evhttp_request* request, int code, const char* reason, const char* type,
          std::string_view body) {
  evkeyvalq* headers = evhttp_request_get_output_headers(request);
  evhttp_add_header(headers, "Content-Type", type);
  evhttp_add_header(headers, "Content-Length", std::to_string(body.size()).c_str());
  evbuffer* out = evbuffer_new();
  bool head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
  if (!head) evbuffer_add(out, body.data(), body.size());
  evhttp_send_reply(request, code, reason, out);
  evbuffer_free(out);
}

void SendText(evhttp_request* request, int code, const char* reason, std::string_view body) {
  Send(request, code, reason, "text/plain; charset=utf-8", body);
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Open(Server* server, const std::string& address,
                                                     int port) {
  std::unique_ptr<HttpServer> http(new HttpServer(server));
  http->http_ = evhttp_new(server->base());
  evhttp_set_timeout(http->http_, kTimeoutSeconds);
  evhttp_set_max_headers_size(http->http_, kMaxHeaderBytes);
  evhttp_set_max_body_size(http->http_, kMaxBodyBytes);
  // All that is known: what is not allowed is answered 405 rather than 501.
  evhttp_set_allowed_methods(http->http_, 0xffff);
  evhttp_set_gencb(http->http_, OnRequest, http.get());
  if (evhttp_bind_socket(http->http_, address.c_str(), static_cast<uint16_t>(port)) != 0) {
    return Status(Code::kInvalid, "cannot serve metrics at " + address + ":" +
                                      std::to_string(port) + ": " + std::strerror(errno));
  }
  return http;
}

HttpServer::~HttpServer() {
  if (http_) evhttp_free(http_);
}

void HttpServer::OnRequest(evhttp_request* request, void* self) {
  static_cast<HttpServer*>(self)->Answer(request);
}

void HttpServer::Answer(evhttp_request* request) {
  evhttp_cmd_type method = evhttp_request_get_command(request);
  if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
    evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
    return SendText(request, 405, "Method Not Allowed", "GET and HEAD only.\n");
  }
  const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
  const char* given = uri ? evhttp_uri_get_path(uri) : nullptr;
  std::string_view path = given ? given : "";
  if (path == "/") return SendText(request, 200, "OK", kIndex);
  if (path != "/metrics") return SendText(request, 404, "Not Found", "There is /metrics.\n");
  std::string info = Info();
  if (info.empty()) {
    return SendText(request, 503, "Service Unavailable", "The server is paused or busy.\n");
  }
  Send(request, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", Exposition(info));
}

// What INFO answers to someone who may do everything; empty when it does not answer.
std::string HttpServer::Info() {
  server_->BeginTurn();
  Engine& engine = server_->engine();
  Session* session = engine.NewSession();
  session->user = std::make_shared<AclUser>(&engine.table(), "metrics", true);
  session->user->Apply("+@all");
  session->user->Apply("~*");
  session->authenticated = true;
  static constexpr std::string_view kWords[] = {
      "INFO",         "server",     "clients", "memory",   "persistence", "stats",
      "commandstats", "errorstats", "sluice",  "keyspace", "queues"};
  engine.Execute(*session, kWords);
  resp::ReplyReader reader;
  reader.Feed(session->out.view());
  resp::Reply reply;
  bool answered = reader.Next(&reply) == resp::ReplyReader::Outcome::kReply;
  std::string text;
  if (answered && reply.type == resp::Reply::Type::kString) text = std::move(reply.text);
  engine.CloseSession(session);
  return text;
}

}  // namespace sluice
