package lsp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
)

// maxMessage bounds a message, lest a broken header takes all memory.
const maxMessage = 64 << 20

// A message is a request (ID and Method), a notification (Method) or a response
// (ID) of JSON-RPC 2.0.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// Error codes of JSON-RPC 2.0, section 5.1, and of the Language Server Protocol.
const (
	parseError           = -32700
	invalidRequest       = -32600
	methodNotFound       = -32601
	invalidParams        = -32602
	internalError        = -32603
	serverNotInitialized = -32002
)

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return e.Message }

// errFraming: the stream can't be followed any more.
var errFraming = errors.New("the input is not a stream of messages")

// readMessage reads one message with its header (LSP 3.17, "Base Protocol"). A
// message that is not JSON is an *rpcError, after which reading can go on.
func readMessage(in *bufio.Reader) (*message, error) {
	header, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil {
		if errors.Is(err, io.EOF) && len(header) == 0 {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("%w: %v", errFraming, err)
	}
	n, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil || n < 0 || n > maxMessage {
		return nil, fmt.Errorf("%w: Content-Length %q", errFraming, header.Get("Content-Length"))
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, fmt.Errorf("%w: %v", errFraming, err)
	}
	m := &message{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, &rpcError{parseError, err.Error()}
	}
	return m, nil
}

func writeMessage(out io.Writer, m *message) error {
	m.Version = "2.0"
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return err
}
