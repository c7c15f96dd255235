# SPDX-License-Identifier: Apache-2.0
"""What the official runtime clients were seen to send, byte for byte but for {ID}, {LENGTH}, {SIZE} (hexadecimal, of the one chunk) and {BODY}.

`fresh`: requests for which the client opens another connection than the one it polls on. `expect`: it waits for 100 Continue before the body.
"""

NEXT = "/2018-06-01/runtime/invocation/next"
RESPONSE = "/2018-06-01/runtime/invocation/{ID}/response"
ERROR = "/2018-06-01/runtime/invocation/{ID}/error"
INIT = "/2018-06-01/runtime/init/error"
CAUSE = '{"working_directory":"/var/task","exceptions":[{"type":"Error","message":"boom","stack":[]}],"paths":[]}'


def lines(*text):
    return "\r\n".join(text) + "\r\n\r\n"


CLIENTS = {
    "go": {  # aws-lambda-go 1.54: net/http, every POST chunked with trailers announced
        "next": lines(f"GET {NEXT} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-go/go1.22.12", "Accept-Encoding: gzip"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-go/go1.22.12",
                          "Transfer-Encoding: chunked", "Content-Type: application/json",
                          "Trailer: Lambda-Runtime-Function-Error-Body,Lambda-Runtime-Function-Error-Type", "Accept-Encoding: gzip")
        + "{SIZE}\r\n{BODY}\r\n0\r\n\r\n",
        "error": lines(f"POST {ERROR} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-go/go1.22.12",
                       "Transfer-Encoding: chunked", "Content-Type: application/json",
                       f"Lambda-Runtime-Function-Xray-Error-Cause: {CAUSE}",
                       "Trailer: Lambda-Runtime-Function-Error-Body,Lambda-Runtime-Function-Error-Type", "Accept-Encoding: gzip")
        + "{SIZE}\r\n{BODY}\r\n0\r\n\r\n",
    },
    "rust": {  # lambda_runtime 0.7 (hyper 0.14): lower case, no Content-Type on success
        "next": lines(f"GET {NEXT} HTTP/1.1", "user-agent: aws-lambda-rust/0.7.3", "host: 127.0.0.1:9001"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "user-agent: aws-lambda-rust/0.7.3", "host: 127.0.0.1:9001",
                          "content-length: {LENGTH}") + "{BODY}",
        "error": lines(f"POST {ERROR} HTTP/1.1", "lambda-runtime-function-error-type: unhandled",
                       "user-agent: aws-lambda-rust/0.7.3", "host: 127.0.0.1:9001", "content-length: {LENGTH}") + "{BODY}",
    },
    "cpp": {  # aws-lambda-cpp: libcurl with Expect switched off
        "next": lines(f"GET {NEXT} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: AWS_Lambda_Cpp/0.2.10", "Accept: */*"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: AWS_Lambda_Cpp/0.2.10", "Accept: */*",
                          "content-type: application/json", "content-length: {LENGTH}") + "{BODY}",
        "error": lines(f"POST {ERROR} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: AWS_Lambda_Cpp/0.2.10", "Accept: */*",
                       "content-type: application/vnd.aws.lambda.error+json", "content-length: {LENGTH}") + "{BODY}",
    },
    "node": {  # aws-lambda-ric 3.3: libcurl for next and response, node's own agent on another connection for init/error
        "next": lines(f"GET {NEXT} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-nodejs/v20.20.2-3.3.0", "Accept: */*"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-nodejs/v20.20.2-3.3.0",
                          "Accept: */*", "Content-Type: application/json", "Content-Length: {LENGTH}") + "{BODY}",
        "error": lines(f"POST {ERROR} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-nodejs/v20.20.2-3.3.0",
                       "Accept: */*", "Content-Type: application/json", "lambda-runtime-function-error-type: Error",
                       f"lambda-runtime-function-xray-error-cause: {CAUSE}", "Content-Length: {LENGTH}") + "{BODY}",
        "init-error": lines(f"POST {INIT} HTTP/1.1", "Content-Type: application/json",
                            "Lambda-Runtime-Function-Error-Type: Runtime.UserCodeSyntaxError", "Content-Length: {LENGTH}",
                            "Host: 127.0.0.1:9001", "Connection: keep-alive") + "{BODY}",
        "fresh": ["init-error"],
    },
    "node-streaming": {  # the same client with streamifyResponse, and lambda_runtime from 0.8 on
        "next": lines(f"GET {NEXT} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-nodejs/v20.20.2-3.3.0", "Accept: */*"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "Lambda-Runtime-Function-Response-Mode: streaming",
                          "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
                          "Content-Type: application/octet-stream", "Host: 127.0.0.1:9001", "Connection: keep-alive",
                          "Transfer-Encoding: chunked") + "{SIZE}\r\n{BODY}\r\n0\r\n\r\n",
        "error": lines(f"POST {RESPONSE} HTTP/1.1", "Lambda-Runtime-Function-Response-Mode: streaming",
                       "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
                       "Content-Type: application/octet-stream", "Host: 127.0.0.1:9001", "Connection: keep-alive",
                       "Transfer-Encoding: chunked")
        + "7\r\npartial\r\n0\r\nLambda-Runtime-Function-Error-Type: Runtime.StreamError\r\n"
          "Lambda-Runtime-Function-Error-Body: {BASE64}\r\n\r\n",
        "fresh": ["response", "error"],
    },
    "python": {  # awslambdaric 4.0: libcurl, and http.client for init/error
        "next": lines(f"GET {NEXT} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-python/3.11.2-4.0.1", "Accept: */*"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-python/3.11.2-4.0.1",
                          "Accept: */*", "Content-Type: application/json", "Content-Length: {LENGTH}") + "{BODY}",
        "error": lines(f"POST {ERROR} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-python/3.11.2-4.0.1", "Accept: */*",
                       "Content-Type: application/json", "lambda-runtime-function-error-type: ValueError",
                       f"lambda-runtime-function-xray-error-cause: {CAUSE}", "Content-Length: {LENGTH}") + "{BODY}",
        "init-error": lines(f"POST {INIT} HTTP/1.1", "Host: 127.0.0.1:9001", "Accept-Encoding: identity", "Content-Length: {LENGTH}",
                            "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError") + "{BODY}",
        "fresh": ["init-error"],
    },
    "ruby": {  # aws_lambda_ric 3.1: Net::HTTP, a form's Content-Type, an error type with < and >
        "next": lines(f"GET {NEXT} HTTP/1.1", "User-Agent: aws-lambda-ruby/3.1.2-3.1.3",
                      "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "Accept: */*", "Host: 127.0.0.1:9001"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "Content-Type: application/x-www-form-urlencoded",
                          "User-Agent: aws-lambda-ruby/3.1.2-3.1.3", "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
                          "Accept: */*", "Connection: close", "Host: 127.0.0.1:9001", "Content-Length: {LENGTH}") + "{BODY}",
        "error": lines(f"POST {ERROR} HTTP/1.1", "Lambda-Runtime-Function-Error-Type: Function<ArgumentError>",
                       "User-Agent: aws-lambda-ruby/3.1.2-3.1.3", "Content-Type: application/x-www-form-urlencoded",
                       "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "Accept: */*", "Connection: close",
                       "Host: 127.0.0.1:9001", "Content-Length: {LENGTH}") + "{BODY}",
        "init-error": lines(f"POST {INIT} HTTP/1.1", "Lambda-Runtime-Function-Error-Type: Init<LoadError>",
                            "Content-Type: application/x-www-form-urlencoded", "Connection: close", "Host: 127.0.0.1:9001",
                            "Content-Length: {LENGTH}") + "{BODY}",
        "fresh": ["response", "error", "init-error"],
    },
    "java": {  # aws-lambda-java-runtime-interface-client: the C++ client underneath, HttpURLConnection for init/error
        "next": lines(f"GET {NEXT} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-java/17.0.9-2.4.1", "Accept: */*"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: aws-lambda-java/17.0.9-2.4.1",
                          "Accept: */*", "content-type: application/json", "content-length: {LENGTH}") + "{BODY}",
        "error": lines(f"POST {ERROR} HTTP/1.1", "User-Agent: Java/17.0.9", "Host: 127.0.0.1:9001",
                       "Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "Connection: keep-alive",
                       "Content-type: application/x-www-form-urlencoded",
                       "Lambda-Runtime-Function-Error-Type: java.lang.RuntimeException", "Content-Length: {LENGTH}") + "{BODY}",
        "fresh": ["error"],
    },
    "bash": {  # the documentation's script: curl 7.88, a connection per call; a body of 1 MB and more waits for 100 Continue
        "next": lines(f"GET {NEXT} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: curl/7.88.1", "Accept: */*"),
        "response": lines(f"POST {RESPONSE} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: curl/7.88.1", "Accept: */*",
                          "Content-Length: {LENGTH}", "Content-Type: application/x-www-form-urlencoded",
                          "Expect: 100-continue") + "{BODY}",
        "error": lines(f"POST {ERROR} HTTP/1.1", "Host: 127.0.0.1:9001", "User-Agent: curl/7.88.1", "Accept: */*",
                       "Content-Length: {LENGTH}", "Content-Type: application/x-www-form-urlencoded") + "{BODY}",
        "fresh": ["next", "response", "error"],
        "expect": ["response"],
    },
}
