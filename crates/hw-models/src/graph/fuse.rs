//! Fewer passes over memory, with the same results up to rounding.

use super::{Graph, Node, Op, ValueId};
use hw_kernels::{Activation, Padding};

/// Whether a function never falls, so that the largest input gives the largest output.
fn monotone(function: Activation) -> bool {
    use Activation as A;
    match function {
        A::Relu | A::Elu { .. } | A::Selu | A::Sigmoid | A::Tanh => true,
        A::ScaledTanh | A::Softsign | A::Identity => true,
        A::LeakyRelu { slope } => slope >= 0.0,
        _ => false,
    }
}

impl Graph {
    /// The graph for a plan: padding as part of the convolutions that see it, maxima before rising
    /// activation functions, and batch normalization in one pass with the sum of two branches and with
    /// ReLU.
    pub fn fused(&self) -> Self {
        let mut graph = self.clone();
        graph.drop_identities();
        graph.join_padding();
        graph.pool_before_activation();
        graph.join_normalization();
        graph
    }

    /// Lets every reader of `old` read `new`.
    pub(super) fn replace(&mut self, old: ValueId, new: ValueId) {
        for node in &mut self.nodes {
            for input in &mut node.inputs {
                if *input == old {
                    *input = new;
                }
            }
        }
        if self.output == old {
            self.output = new;
        }
    }

    fn drop_identities(&mut self) {
        let identity = |node: &Node| matches!(node.op, Op::Activation(Activation::Identity));
        while let Some(at) = self.nodes.iter().position(identity) {
            let node = self.nodes.remove(at);
            self.replace(node.output, node.inputs[0]);
        }
    }

    /// Padding that only convolutions (and other padding) read becomes theirs.
    fn join_padding(&mut self) {
        let mut at = 0;
        while at < self.nodes.len() {
            let Op::Pad { padding } = self.nodes[at].op else {
                at += 1;
                continue;
            };
            let (x, y) = (self.nodes[at].inputs[0], self.nodes[at].output);
            let takes = |node: &Node| matches!(node.op, Op::Conv { .. } | Op::Pad { .. });
            let mut readers = self.nodes.iter().filter(|node| node.inputs.contains(&y));
            if y == self.output || !readers.all(takes) {
                at += 1;
                continue;
            }
            let [_, height, width] = self.values[x].as_maps();
            for node in self.nodes.iter_mut().filter(|node| node.inputs[0] == y) {
                match &mut node.op {
                    Op::Conv { windows, .. } => {
                        windows.input = [height, width];
                        windows.padding = around(padding, windows.padding);
                    }
                    Op::Pad { padding: own } => *own = around(padding, *own),
                    _ => unreachable!("only convolutions and padding read it"),
                }
            }
            self.nodes.remove(at);
            self.replace(y, x);
        }
    }

    /// `max(f(x)) = f(max(x))` for a function that never falls, and there are fewer maxima.
    fn pool_before_activation(&mut self) {
        let uses = self.uses();
        let mut at = 0;
        while let Some([act, pool]) = self.nodes.get_mut(at..).and_then(<[Node]>::first_chunk_mut) {
            at += 1;
            if let (Op::Activation(function), Op::MaxPool(_)) = (&act.op, &pool.op)
                && monotone(*function)
                && pool.inputs == [act.output]
                && uses[act.output] == 1
            {
                self.values[act.output] = self.values[pool.output].clone();
                std::mem::swap(&mut act.op, &mut pool.op);
                std::mem::swap(&mut act.layer, &mut pool.layer);
                at += 1;
            }
        }
    }

    /// A sum right after the normalization that ends one of its branches, and ReLU right after a
    /// normalization, cost nothing in the same pass.
    fn join_normalization(&mut self) {
        let uses = self.uses();
        let mut nodes: Vec<Node> = Vec::with_capacity(self.nodes.len());
        for node in std::mem::take(&mut self.nodes) {
            let last = nodes
                .last_mut()
                .filter(|last| uses[last.output] == 1 && node.inputs.first() == Some(&last.output));
            let Some(last) = last else {
                nodes.push(node);
                continue;
            };
            match (&mut last.op, &node.op) {
                (Op::Norm { relu, .. }, Op::Activation(Activation::Relu)) => *relu = true,
                (Op::Norm { relu: false, .. }, Op::Add) if last.inputs.len() == 1 => {
                    last.inputs.push(node.inputs[1]);
                }
                _ => {
                    nodes.push(node);
                    continue;
                }
            }
            last.output = node.output;
            last.layer = node.layer;
        }
        self.nodes = nodes;
    }
}

/// Both paddings together.
fn around(a: Padding, b: Padding) -> Padding {
    Padding {
        top: a.top + b.top,
        bottom: a.bottom + b.bottom,
        left: a.left + b.left,
        right: a.right + b.right,
    }
}
