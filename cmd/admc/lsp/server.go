// Package lsp tells editors what the compiler knows while a program is written.
//
// In: a stream of messages of the Language Server Protocol 3.17, and a function
// that loads and checks the program a file belongs to, with the unsaved buffers
// in place of the files. Out: diagnostics for all files of the program, hovers,
// definitions, completions, fixes and formatting. Nothing is written to disk.
//
// Messages are handled one after the other. A program is checked again when no
// further message waits, or when a request needs it, so that a burst of
// keystrokes costs one check. Broken input is the usual one: what stands at the
// cursor is found from tokens, not from the tree, and a mistake of ours in one
// request is an error for that request and not the end of the session.
package lsp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// A Program is what is known of the files that belong together.
type Program struct {
	Sources     []*diag.Source // graph, policies and manifests; Path opens the file
	Files       []*syntax.File // of the policies
	Graph       *graph.Graph   // nil where there is none, or a broken one
	Diagnostics []*diag.Diagnostic
	// Explain says where a policy or a service's obligations run and why; "" while
	// the program has errors.
	Explain func(name string) string
}

// Options of a server.
type Options struct {
	Version string
	// Load finds and checks the program of the file at an absolute path. Open
	// has the text of unsaved buffers by absolute path. An error says why there
	// is no program, such as that no service graph is found.
	Load func(ctx context.Context, path string, open map[string][]byte) (*Program, error)
	// Embedded gives a file with the text of a source that is inside admc.
	Embedded func(*diag.Source) (path string, err error)
}

// Serve answers messages until the client ends the session. It gives an error
// when the client went away without that, or sent what is no message.
func Serve(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	s := &server{Options: o, out: out, buffers: map[string]*buffer{}, published: map[string]string{}}
	incoming := make(chan received, 64)
	go func() {
		defer close(incoming)
		r := bufio.NewReader(in)
		for {
			m, err := readMessage(r)
			select {
			case incoming <- received{m, err}:
			case <-ctx.Done():
				return
			}
			var rpc *rpcError
			if err != nil && !errors.As(err, &rpc) {
				return
			}
		}
	}()
	for {
		if len(incoming) == 0 && !s.shutdown {
			s.refresh(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-incoming:
			if done, err := s.receive(ctx, r); done || err != nil {
				return err
			}
		}
	}
}

type received struct {
	m   *message
	err error
}

// A server is one session.
type server struct {
	Options
	out         io.Writer
	failed      error // of writing
	initialized bool
	shutdown    bool
	buffers     map[string]*buffer // open documents by URI
	program     *loaded            // of the document used last
	dirty       map[string]bool    // URIs of documents to check again
	published   map[string]string  // what was last said about each URI
}

// receive handles one message; done ends the session.
func (s *server) receive(ctx context.Context, r received) (done bool, err error) {
	var rpc *rpcError
	switch {
	case errors.As(r.err, &rpc):
		s.respond(json.RawMessage("null"), nil, rpc)
		return false, s.failed
	case errors.Is(r.err, io.EOF):
		return true, errors.New("the client went away without the notification exit")
	case r.err != nil:
		return true, r.err
	case r.m.Method == "exit":
		if !s.shutdown {
			return true, errors.New("exit without shutdown")
		}
		return true, nil
	case r.m.Method == "":
		return false, nil // an answer, and nothing was asked
	case r.m.ID == nil:
		if s.initialized && !s.shutdown {
			s.safely(func() (any, error) { return nil, s.notified(r.m) })
		}
		return false, s.failed
	}
	result, err := s.safely(func() (any, error) { return s.requested(ctx, r.m) })
	if err != nil && !errors.As(err, &rpc) {
		rpc = &rpcError{internalError, err.Error()}
	}
	s.respond(r.m.ID, result, rpc)
	return false, s.failed
}

// safely keeps a panic in one message from ending the session.
func (s *server) safely(f func() (any, error)) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &rpcError{internalError, fmt.Sprintf("this is a mistake in admc: %v", r)}
			s.notify("window/logMessage", map[string]any{"type": 1, "message": fmt.Sprintf("%v\n%s", r, debug.Stack())})
		}
	}()
	return f()
}

func (s *server) respond(id json.RawMessage, result any, rpc *rpcError) {
	m := &message{ID: id, Error: rpc}
	if rpc == nil {
		body, err := json.Marshal(result)
		if err != nil {
			panic(err)
		}
		m.Result = body
	}
	s.write(m)
}

func (s *server) notify(method string, params any) {
	body, err := json.Marshal(params)
	if err != nil {
		panic(err)
	}
	s.write(&message{Method: method, Params: body})
}

func (s *server) write(m *message) {
	if s.failed == nil {
		s.failed = writeMessage(s.out, m)
	}
}

// requested answers one request.
func (s *server) requested(ctx context.Context, m *message) (any, error) {
	switch {
	case m.Method == "initialize":
		s.initialized = true
		return s.capabilities(), nil
	case !s.initialized:
		return nil, &rpcError{serverNotInitialized, "the first request is initialize"}
	case s.shutdown:
		return nil, &rpcError{invalidRequest, "the session is shut down"}
	}
	switch m.Method {
	case "shutdown":
		s.shutdown = true
		return nil, nil
	case "textDocument/hover":
		return atPosition(ctx, s, m, s.hover)
	case "textDocument/definition":
		return atPosition(ctx, s, m, s.definition)
	case "textDocument/completion":
		return atPosition(ctx, s, m, s.completion)
	case "textDocument/formatting":
		var p openParams
		if err := read(m, &p); err != nil {
			return nil, err
		}
		return s.format(p.TextDocument.URI)
	case "textDocument/codeAction":
		var p rangeParams
		if err := read(m, &p); err != nil {
			return nil, err
		}
		return s.codeActions(ctx, p)
	}
	return nil, &rpcError{methodNotFound, "no method " + m.Method}
}

func (s *server) capabilities() any {
	return map[string]any{
		"serverInfo": map[string]string{"name": "admc", "version": s.Version},
		"capabilities": map[string]any{
			"positionEncoding":           "utf-16",
			"textDocumentSync":           map[string]any{"openClose": true, "change": 2, "save": true},
			"hoverProvider":              true,
			"definitionProvider":         true,
			"completionProvider":         map[string]any{"triggerCharacters": []string{"@", "$", "(", ",", ":", ">", "[", "{", "."}},
			"documentFormattingProvider": true,
			"codeActionProvider":         map[string]any{"codeActionKinds": []string{"quickfix"}},
		},
	}
}

// notified handles one notification; those that are not known are ignored, as
// the protocol wants.
func (s *server) notified(m *message) error {
	switch m.Method {
	case "textDocument/didOpen":
		var p openParams
		if err := read(m, &p); err != nil {
			return err
		}
		s.open(p.TextDocument)
	case "textDocument/didChange":
		var p changeParams
		if err := read(m, &p); err != nil {
			return err
		}
		s.change(p)
	case "textDocument/didSave", "textDocument/didClose":
		var p openParams
		if err := read(m, &p); err != nil {
			return err
		}
		s.savedOrClosed(p.TextDocument.URI, m.Method == "textDocument/didClose")
	case "workspace/didChangeWatchedFiles":
		s.stale()
	}
	return nil
}

func read(m *message, params any) error {
	if err := json.Unmarshal(m.Params, params); err != nil {
		return &rpcError{invalidParams, err.Error()}
	}
	return nil
}

// atPosition answers a request about a place in an open document; null for any
// other.
func atPosition[T any](ctx context.Context, s *server, m *message, answer func(context.Context, *cursor) (T, error)) (any, error) {
	var p positionParams
	if err := read(m, &p); err != nil {
		return nil, err
	}
	b := s.buffers[p.TextDocument.URI]
	if b == nil || !b.isPolicy() {
		return nil, nil
	}
	return answer(ctx, s.cursor(ctx, b, p.Position))
}
