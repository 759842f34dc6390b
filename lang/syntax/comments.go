package syntax

// commentsAt gives the comments that belong to a node which starts at the token
// in hand: the block of lines that ends on the line above it.
func (p *parser) commentsAt() Comments {
	all := p.sc.comments
	end := p.leadEnd()
	line := p.tok.line
	first := end
	for first > p.tok.lead && all[first-1].ownLine && all[first-1].line == line-1 {
		first--
		line--
	}
	return Comments{Above: p.commentNodes(first, end)}
}

// leadEnd is the index after the last comment in front of the token in hand.
// The scanner never runs ahead of it: what looks ahead is a copy.
func (p *parser) leadEnd() int { return len(p.sc.comments) }

// after gives the comment that follows the last token on its line.
func (p *parser) after() *Comment {
	if i := p.tok.lead; i < p.leadEnd() {
		if c := p.sc.comments[i]; !c.ownLine && c.line == p.prev.endLine {
			return &p.commentNodes(i, i+1)[0]
		}
	}
	return nil
}

// tail gives the comments in front of the token in hand that stand on lines of
// their own: nothing follows them that they could belong to.
func (p *parser) tail() []Comment {
	i := p.tok.lead
	for i < p.leadEnd() && !p.sc.comments[i].ownLine {
		i++
	}
	return p.commentNodes(i, p.leadEnd())
}

func (p *parser) commentNodes(from, to int) []Comment {
	var out []Comment
	for _, c := range p.sc.comments[from:to] {
		at := p.src.Span(c.start, c.end)
		out = append(out, Comment{Base{at}, at.Text(), c.ownLine})
	}
	return out
}
