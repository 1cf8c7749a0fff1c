// The mobile inverted bottleneck of EfficientNet V1 and V2 under Keras' names.

import GraftNetworks

/// One block: expansion, depthwise convolution, squeeze-and-excite, projection. "Fused" (V2) has
/// one full convolution for the expansion and the depthwise one.
struct KerasMBConv {
    /// `block2a`.
    var name: String
    var kernel: Int
    var stride: Int
    var expansion: Int
    var inputs: Int
    var outputs: Int
    /// Of the block's inputs; 0 is none.
    var squeeze: Float = 0.25
    var fused = false
    /// Keras' V2 calls the depthwise convolution `dwconv2`.
    var depthwise = "dwconv"
    var momentum: Float
    /// The probability to drop the branch in training.
    var dropRate: Float

    /// The block after a map of `inputs` channels.
    var layers: any Layer {
        let adds = stride == 1 && inputs == outputs
        return Scope(name) {
            if adds {
                Add("add") {
                    Sequential {
                        convolutions
                        DropPath("drop", rate: dropRate)
                    }
                    Sequential {}
                }
            } else {
                convolutions
            }
        }
    }

    private var width: Int { inputs * expansion }

    @LayerBuilder
    private var convolutions: [any Layer] {
        if expansion > 1 {
            Conv2d(
                "expand_conv", width, kernel: Extent(fused ? kernel : 1),
                stride: Extent(fused ? stride : 1), padding: .same)
            normalise("expand_bn")
            Swish("expand_activation")
        }
        if !fused {
            DepthwiseConv2d(
                depthwise, kernel: Extent(kernel), stride: Extent(stride), padding: .same)
            normalise("bn")
            Swish("activation")
        }
        if squeeze > 0 {
            SqueezeExcite(
                "se", reduce: "se_reduce", expand: "se_expand",
                squeezed: max(1, Int(Float(inputs) * squeeze)), channels: width)
        }
        // A fused block without expansion is its projection, with the kernel and an activation.
        let whole = fused && expansion == 1
        Conv2d(
            "project_conv", outputs, kernel: Extent(whole ? kernel : 1),
            stride: Extent(whole ? stride : 1), padding: .same)
        normalise("project_bn")
        if whole { Swish("project_activation") }
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: 1e-3, momentum: momentum)
    }
}
