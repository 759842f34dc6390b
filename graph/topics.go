package graph

import (
	"cmp"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

var topicKeys = []string{"broker", "port", "protocol", "producers", "consumers"}

// topics reads event-based communication. Producers and consumers alike open
// connections to the broker, so each becomes a call to it. Topics share a
// broker, and so may repeat a call of another topic or of `calls`. A topic's
// name is the broker's own: any text.
func (l *loader) topics(n *yaml.Node) {
	content, ok := l.entries(n, "topics")
	if !ok {
		return
	}
	first := map[string]*yaml.Node{}
	for i := 0; i < len(content); i += 2 {
		name, ok := l.text(content[i], "a topic's name")
		switch {
		case !ok:
		case first[name] != nil:
			l.duplicateKey(content[i], first[name])
		default:
			first[name] = content[i]
			l.topic(resolved(content[i+1]))
		}
	}
}

func (l *loader) topic(n *yaml.Node) {
	o, ok := l.object(n, "a topic", topicKeys)
	if !ok {
		return
	}
	var broker Node
	w, good := l.way(o)
	if n := l.must(o, "broker", "a topic"); n != nil {
		broker = l.broker(n, w)
	}
	producers, consumers := o.get("producers"), o.get("consumers")
	if producers == nil && consumers == nil {
		l.bag.Errorf(o.at, MissingKey, "a topic needs producers or consumers")
	}
	for _, list := range []*yaml.Node{producers, consumers} {
		if list == nil {
			continue
		}
		items, ok := l.list(list, "producers and consumers")
		if !ok {
			continue
		}
		for _, item := range items {
			item = resolved(item)
			client := l.lookup(item, "a producer or consumer")
			if s, ok := client.(*Service); ok && list == consumers {
				l.consumers[s] = true
			}
			if client == nil || broker == nil || !good {
				continue
			}
			if c := l.connect(client, broker, w, l.pos.span(item)); c != nil {
				l.fromTopic[c] = true
			}
		}
	}
}

// brokerPorts are the ports that brokers listen on where nothing else is said
// (the defaults of Apache Kafka, RabbitMQ and Redis).
var brokerPorts = map[Protocol]int{"kafka": 9092, "amqp": 5672, "redis": 6379}

// broker finds the broker of a topic. One that is declared nowhere, and whose
// name is no slip of a declared one, runs outside the mesh: an external of that
// name, at the topic's port or its protocol's usual one.
func (l *loader) broker(n *yaml.Node, w way) Node {
	port := cmp.Or(w.number, brokerPorts[w.protocol])
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || l.nodes[n.Value] != nil || !isSubdomain(n.Value) || w.protocol == "" || port == 0 {
		return l.lookup(n, "broker")
	}
	for known := range l.nodes {
		if diag.Suggest(n.Value, []string{known}) != "" {
			return l.lookup(n, "broker")
		}
	}
	e := &External{Name: n.Value, Host: n.Value, Port: port, Protocol: w.protocol, At: l.pos.span(n)}
	l.declare(e)
	l.g.Externals = append(l.g.Externals, e)
	return e
}
