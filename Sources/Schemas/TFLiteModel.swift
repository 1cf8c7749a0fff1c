// A TensorFlow Lite model as values: the graph, its tensors and what is said of them.

package import GraftTensors

/// The network of a `.tflite` file (tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3).
package struct TFLiteModel: Sendable {
    /// The quantisation of a tensor, whose integers stand for (q − zero point) · scale.
    package struct Quantization: Sendable, Equatable {
        package var scales: [Float]
        package var zeroPoints: [Int]
        /// The axis along which the scales lie, where there are several.
        package var axis: Int

        package init(scales: [Float], zeroPoints: [Int], axis: Int = 0) {
            self.scales = scales
            self.zeroPoints = zeroPoints
            self.axis = axis
        }
    }

    /// A tensor of the graph: a weight where it has numbers, else a value that is computed.
    package struct Entry: Sendable {
        /// The name; of weights the one by which ``StateDict`` has them.
        package var name: String
        /// The sizes, with 1 for those that a caller may choose.
        package var shape: [Int]
        /// The type; nil for text and types that graft does not know.
        package var dtype: DType?
        /// The numbers of a weight.
        package var numbers: LazyTensor?
        package var quantization: Quantization?
        /// Whether it keeps its value from run to run.
        package var isVariable = false
        /// Whether the first size may be any.
        package var isBatched = false

        package init(name: String, shape: [Int], dtype: DType?, numbers: LazyTensor? = nil) {
            self.name = name
            self.shape = shape
            self.dtype = dtype
            self.numbers = numbers
        }
    }

    /// A step of the graph.
    package struct Step: Sendable {
        /// The operator's name in the schema, or that of a custom one.
        package var type: String
        package var isCustom = false
        /// The tensors that it reads; −1 for one that is left out.
        package var inputs: [Int]
        package var outputs: [Int]
        /// The settings that the file gives, by their names in the schema.
        package var options = TFLiteOptions()
        /// The settings of a custom operator, in a form of its own.
        package var customOptions: [UInt8] = []

        package init(type: String, inputs: [Int], outputs: [Int]) {
            self.type = type
            self.inputs = inputs
            self.outputs = outputs
        }
    }

    /// The name by which a signature calls a tensor.
    package struct Port: Sendable {
        package var name: String
        package var tensor: Int

        package init(name: String, tensor: Int) {
            self.name = name
            self.tensor = tensor
        }
    }

    package var description: String?
    package var tensors: [Entry] = []
    package var steps: [Step] = []
    package var inputs: [Port] = []
    package var outputs: [Port] = []
    /// The number of graphs in the file, of which this is the first.
    package var graphCount = 1
    package var metadata = TFLiteMetadata()
    /// Properties of a model that graft writes, by name.
    package var properties: [String: String] = [:]
    /// The name of the buffer that holds the properties, as JSON.
    package static let propertiesName = "GRAFT_PROPERTIES"

    package init() {}
}

/// The settings of an operator.
package struct TFLiteOptions: Sendable, Equatable {
    package var integers: [String: Int] = [:]
    package var numbers: [String: Float] = [:]
    package var lists: [String: [Int]] = [:]

    package init(integers: [String: Int] = [:]) { self.integers = integers }
}

/// The description of a model's images and answers (metadata_schema.fbs).
package struct TFLiteMetadata: Sendable, Equatable {
    /// The mean and the divisor by channel that make pixels of 0 to 255 the network's input.
    package var mean: [Float] = []
    package var deviation: [Float] = []
    /// The names of the classes, one for each value of the answer.
    package var labels: [String] = []
    package var name = ""
    package var author = ""
    package var licence = ""

    package init() {}
}
