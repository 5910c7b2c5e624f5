//! Networks that are only run: batch normalization becomes part of the weights before it, ReLU and the
//! sum of two branches part of the same operation; dropout is gone.

use super::{Graph, Node, Op, Parameter, ParameterId, Start};
use hw_kernels::Activation;

/// The numbers of a graph's tensors, in its order and each row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    /// Those of [`Graph::parameters`].
    pub parameters: Vec<Vec<f32>>,
    /// Those of [`Graph::buffers`].
    pub buffers: Vec<Vec<f32>>,
}

/// A graph to be run, with its numbers.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The operations.
    pub graph: Graph,
    /// The numbers of its tensors.
    pub tensors: Tensors,
}

/// [`Graph::fused`] without what only training needs: the same logits up to rounding.
pub fn fold(graph: &Graph, tensors: Tensors) -> Folded {
    let mut graph = graph.fused();
    graph.drop_dropout();
    let uses = graph.uses();
    let nodes = std::mem::take(&mut graph.nodes);
    let mut folded = Folded { graph, tensors };
    for node in nodes {
        let last = folded.graph.nodes.last();
        let follows = last.is_some_and(|last| {
            uses[last.output] == 1 && node.inputs.first() == Some(&last.output)
        });
        if !(follows && folded.join(&node)) {
            folded.push(node);
        }
    }
    folded
}

impl Graph {
    fn drop_dropout(&mut self) {
        let dropout = |node: &Node| matches!(node.op, Op::Dropout { .. });
        while let Some(at) = self.nodes.iter().position(dropout) {
            let node = self.nodes.remove(at);
            self.replace(node.output, node.inputs[0]);
        }
    }
}

impl Folded {
    /// Makes the last operation do what `node` does with its result; false if it cannot.
    fn join(&mut self, node: &Node) -> bool {
        let last = self.graph.nodes.len() - 1;
        match (self.graph.nodes[last].op.clone(), &node.op) {
            (
                Op::Conv {
                    weight,
                    bias,
                    relu: false,
                    ..
                }
                | Op::Dense {
                    weight,
                    bias,
                    relu: false,
                },
                Op::Norm { relu, .. },
            ) if self.graph.nodes[last].inputs.len() == 1 => {
                let (factor, offset) = self.factors(&node.op);
                let folded = self.scaled(weight, bias, &factor, &offset);
                let own = &mut self.graph.nodes[last];
                own.inputs.extend(node.inputs.get(1));
                if let Op::Conv {
                    bias, relu: own, ..
                }
                | Op::Dense {
                    bias, relu: own, ..
                } = &mut own.op
                {
                    (*bias, *own) = (Some(folded), *relu);
                }
            }
            (Op::Conv { .. } | Op::Dense { .. }, Op::Activation(Activation::Relu))
                if self.graph.nodes[last].inputs.len() == 1 =>
            {
                if let Op::Conv { relu, .. } | Op::Dense { relu, .. } =
                    &mut self.graph.nodes[last].op
                {
                    *relu = true;
                }
            }
            _ => return false,
        }
        let own = &mut self.graph.nodes[last];
        own.output = node.output;
        own.layer.clone_from(&node.layer);
        true
    }

    /// A normalization that stays is an affine map.
    fn push(&mut self, mut node: Node) {
        if let Op::Norm { relu, .. } = node.op {
            let (factor, offset) = self.factors(&node.op);
            let [scale, shift] = [("scale", factor), ("shift", offset)]
                .map(|(what, values)| self.keep(format!("{}.folded_{what}", node.layer), values));
            node.op = Op::Affine { scale, shift, relu };
        }
        self.graph.nodes.push(node);
    }

    fn keep(&mut self, name: String, values: Vec<f32>) -> ParameterId {
        self.graph.add_parameter(Parameter {
            name,
            shape: vec![values.len()],
            start: Start::Constant(0.0),
            count: values.len(),
        });
        self.tensors.parameters.push(values);
        self.tensors.parameters.len() - 1
    }

    /// A normalization by its moving statistics as `x * factor + offset`.
    fn factors(&self, norm: &Op) -> (Vec<f32>, Vec<f32>) {
        let Op::Norm {
            scale,
            shift,
            mean,
            eps,
            ..
        } = *norm
        else {
            unreachable!("asked for normalizations only")
        };
        let tensors = &self.tensors;
        let (means, variance) = (&tensors.buffers[mean], &tensors.buffers[mean + 1]);
        let gamma = tensors.parameters[scale].iter().zip(variance);
        let factor: Vec<f32> = gamma.map(|(g, v)| g / (v + eps).sqrt()).collect();
        let beta = tensors.parameters[shift].iter().zip(means).zip(&factor);
        let offset = beta.map(|((b, m), f)| b - m * f).collect();
        (factor, offset)
    }

    /// Scales each output's weights and adds to its bias; the bias.
    fn scaled(
        &mut self,
        weight: ParameterId,
        bias: Option<ParameterId>,
        factor: &[f32],
        offset: &[f32],
    ) -> ParameterId {
        let weights = &mut self.tensors.parameters[weight];
        let inputs = weights.len() / factor.len();
        for (row, factor) in weights.chunks_exact_mut(inputs).zip(factor) {
            row.iter_mut().for_each(|w| *w *= factor);
        }
        let old = match bias {
            Some(bias) => std::mem::take(&mut self.tensors.parameters[bias]),
            None => vec![0.0; offset.len()],
        };
        let parts = old.iter().zip(factor).zip(offset);
        let values = parts.map(|((b, f), o)| b * f + o).collect();
        match bias {
            Some(bias) => {
                self.tensors.parameters[bias] = values;
                bias
            }
            None => {
                let weight = &self.graph.parameters[weight].name;
                self.keep(format!("{weight}.folded_bias"), values)
            }
        }
    }
}
