// What each Keras layer is in a graph: the table that a reader of configurations follows.

import GraftNetworks

/// The readers of Keras layers.
enum KerasLayers {
    /// Adds a call of a layer to the graph; returns the node of its value.
    typealias Reading = @Sendable (KerasCall, inout KerasReader) throws -> Int

    /// The row of a layer.
    ///
    /// - Throws: ``ArchitectureError/keras(layer:reason:)`` if there is none.
    static func reading(of layer: KerasLayerConfig) throws -> Reading {
        // Augmentation: nothing is done to images outside training.
        if layer.kind.hasPrefix("Random") { return passing }
        guard let reading = all[layer.kind] else {
            throw layer.fail("graft does not know the layer `\(layer.kind)`")
        }
        return reading
    }

    /// A layer that does nothing when a model answers.
    private static let passing: Reading = { call, _ in call.x }

    private static let all: [String: Reading] = [
        "Activation": Op.Activate.readKeras,
        "ActivityRegularization": passing,
        "Add": Op.Add.readKeras,
        "AlphaDropout": Op.Dropout.readKeras,
        "Average": Op.Add.readKerasAverage,
        "AveragePooling2D": Op.AveragePool.readKeras,
        "AvgPool2D": Op.AveragePool.readKeras,
        "BatchNormalization": Op.BatchNorm.readKeras,
        "CenterCrop": Op.Pad.readKerasCenterCrop,
        "Concatenate": Op.Concatenate.readKeras,
        "Conv2D": Op.Conv2d.readKeras,
        "Conv2DTranspose": Op.ConvTranspose2d.readKeras,
        "Convolution2D": Op.Conv2d.readKeras,
        "Convolution2DTranspose": Op.ConvTranspose2d.readKeras,
        "Cropping2D": Op.Pad.readKerasCropping,
        "Dense": Op.Linear.readKeras,
        "DepthwiseConv2D": Op.Conv2d.readKerasDepthwise,
        "Dropout": Op.Dropout.readKeras,
        "ELU": Op.Activate.readKerasELU,
        "Flatten": Op.Flatten.readKeras,
        "GaussianDropout": Op.Dropout.readKeras,
        "GaussianNoise": passing,
        "GlobalAveragePooling2D": Op.GlobalAveragePool.readKeras,
        "GlobalAvgPool2D": Op.GlobalAveragePool.readKeras,
        "GlobalMaxPool2D": Op.GlobalMaxPool.readKeras,
        "GlobalMaxPooling2D": Op.GlobalMaxPool.readKeras,
        "GroupNormalization": Op.GroupNorm.readKeras,
        "Identity": passing,
        "Lambda": { call, _ in
            throw call.fail("a `\(call.layer.kind)` layer is Python code, which is never run")
        },
        "LayerNormalization": Op.LayerNorm.readKeras,
        // ConvNeXt's, in keras.applications.
        "LayerScale": { call, reader in try reader.add(.channelScale, for: call) },
        "LeakyReLU": Op.Activate.readKerasLeakyReLU,
        "MaxPool2D": Op.MaxPool.readKeras,
        "MaxPooling2D": Op.MaxPool.readKeras,
        "Multiply": Op.Multiply.readKeras,
        "Normalization": Op.Affine.readKerasNormalization,
        "PReLU": Op.ChannelScale.readKerasPReLU,
        "Permute": Op.Transpose.readKeras,
        "ReLU": Op.Activate.readKerasReLU,
        "Rescaling": Op.Affine.readKeras,
        "Reshape": Op.Reshape.readKeras,
        "Resizing": Op.Resize.readKeras,
        "SeparableConv2D": Op.Conv2d.readKerasSeparable,
        "SeparableConvolution2D": Op.Conv2d.readKerasSeparable,
        "Softmax": Op.Softmax.readKeras,
        "SpatialDropout2D": Op.Dropout.readKeras,
        "Subtract": Op.Add.readKerasSubtract,
        "UnitNormalization": Op.UnitNorm.readKeras,
        "UpSampling2D": Op.Upsample.readKeras,
        "ZeroPadding2D": Op.Pad.readKeras,
    ]
}
