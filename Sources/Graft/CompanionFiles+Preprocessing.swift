// The image preparation that timm's `pretrained_cfg` and transformers' `preprocessor_config.json` describe.

internal import GraftArchitectures
internal import GraftImages

extension CompanionFiles {
    /// What a JSON of timm or transformers says of images; `notes` get what is not understood.
    static func preprocessing(_ json: JSONTree, _ notes: inout [String]) -> PreprocessingChanges? {
        if let inner = json["pretrained_cfg"], inner["mean"] != nil || inner["input_size"] != nil {
            return timm(inner, &notes)
        }
        let isTimm = json["input_size"] != nil || json["crop_pct"] != nil && json["mean"] != nil
        return isTimm ? timm(json, &notes) : transformers(json, &notes)
    }

    /// timm: `create_transform` of `resolve_model_data_config`.
    static func timm(_ json: JSONTree, _ notes: inout [String]) -> PreprocessingChanges? {
        var changes = PreprocessingChanges()
        if let size = json["input_size"]?.array?.compactMap(\.integer), size.count == 3 {
            changes.size = .init(height: size[1], width: size[2])
        }
        changes.normalization = normalization(
            mean: json["mean"], std: json["std"], scale: 1 / 255, isReversed: false)
        changes.kernel = kernel(json["interpolation"], &notes)
        let fraction = json["crop_pct"]?.number ?? 0.875
        switch json["crop_mode"]?.string ?? "center" {
        case "center":
            changes.crop = .fraction(fraction)
            if let size = changes.size, size.height != size.width {
                notes.append(
                    "timm resizes until \(size.height)×\(size.width) is covered, graft the shorter "
                        + "side to the longer of the two: the crops differ for most images")
            }
        case "squash": changes.crop = .squashedFraction(fraction)
        case let other:
            notes.append("timm's crop mode `\(other)` is not supported: the centre is cropped")
            changes.crop = .fraction(fraction)
        }
        return changes
    }

    /// transformers: `AutoImageProcessor`.
    static func transformers(_ json: JSONTree, _ notes: inout [String]) -> PreprocessingChanges? {
        let type = json["image_processor_type"]?.string ?? json["feature_extractor_type"]?.string
        guard type != nil || json["image_mean"] != nil || json["do_resize"] != nil else {
            return nil
        }
        var changes = PreprocessingChanges()
        changes.cropRounding = .down
        changes.kernel = kernel(json["resample"], &notes)
        changes.normalization = transformersNormalization(json)
        guard json["do_resize"]?.bool ?? true else { return changes }
        let crops = json["do_center_crop"]?.bool ?? false
        let crop = crops ? size(json["crop_size"]) ?? size(json["size"]) : nil
        let whole = json["size"] ?? .null
        let shortest =
            whole["shortest_edge"]?.integer
            ?? (crops || json["crop_pct"] != nil ? whole.integer : nil)
        if let shortest, type?.hasPrefix("ConvNext") == true || json["crop_pct"] != nil {
            // ConvNeXT: below 384 a crop of the enlarged image, from there on all of it.
            let fraction = json["crop_pct"]?.number ?? 224.0 / 256
            changes.size = .init(height: shortest, width: shortest)
            changes.crop = shortest < 384 ? .fraction(fraction) : PreprocessingChanges.Crop.none
        } else if let shortest {
            changes.size = crop ?? .init(height: shortest, width: shortest)
            if let crop, max(crop.height, crop.width) > shortest {
                notes.append(
                    "preprocessor_config.json crops \(crop.height)×\(crop.width) of a shorter side of "
                        + "\(shortest), which adds a black border: the image is enlarged to fill it"
                )
                changes.crop = .shorterSide(max(crop.height, crop.width))
                return changes
            }
            changes.crop = .shorterSide(
                type?.hasPrefix("Levit") == true ? Int(256.0 / 224 * Double(shortest)) : shortest)
            if crop == nil {
                notes.append(
                    "preprocessor_config.json keeps proportions and crops nothing: the centre is "
                        + "cropped to \(shortest)×\(shortest)")
            }
        } else if let side = size(whole) {
            changes.size = crop ?? side
            changes.crop = PreprocessingChanges.Crop.none
            if let crop, crop != side, side.height == side.width {
                changes.crop = .squashedSide(side.height)
            }
        }
        return changes
    }

    private static func transformersNormalization(_ json: JSONTree) -> Normalization? {
        let type = json["image_processor_type"]?.string ?? json["feature_extractor_type"]?.string
        func isOf(_ network: String) -> Bool { type?.hasPrefix(network) == true }
        let rescales = json["do_rescale"]?.bool ?? true
        let scale = rescales ? json["rescale_factor"]?.number ?? 1 / 255 : 1
        // MobileViT's wants BGR and has no mean, though its files may state one.
        let isReversed = json["do_flip_channel_order"]?.bool ?? isOf("MobileViT")
        var result = Normalization(channels: isReversed ? .bgr : .rgb, scale: scale)
        if json["do_normalize"]?.bool ?? (json["image_mean"] != nil && !isOf("MobileViT")) {
            guard
                let whole = normalization(
                    mean: json["image_mean"], std: json["image_std"], scale: scale,
                    isReversed: isReversed)
            else { return nil }
            result = whole
        }
        guard isOf("EfficientNet") else { return result }
        // −1 after the factor; and a classifier divides by the deviation once more.
        if json["rescale_offset"]?.bool == true { result.mean = result.mean.map { $0 + 1 } }
        if json["include_top"]?.bool ?? true,
            let std = json["image_std"]?.array?.compactMap(\.number), std.count == result.std.count
        {
            result.std = zip(result.std, std).map { $0 * $1 }
        }
        return result
    }

    private static func normalization(
        mean: JSONTree?, std: JSONTree?, scale: Double, isReversed: Bool
    ) -> Normalization? {
        func numbers(_ tree: JSONTree?) -> [Double]? {
            if let number = tree?.number { return [number, number, number] }
            let values = tree?.array?.compactMap(\.number) ?? []
            return values.isEmpty ? nil : values
        }
        guard let mean = numbers(mean), let std = numbers(std), mean.count == std.count else {
            return nil
        }
        let order: ChannelOrder =
            switch mean.count {
            case 1: .grey
            case 3: isReversed ? .bgr : .rgb
            default: .bands
            }
        return Normalization(channels: order, scale: scale, mean: mean, std: std)
    }

    /// A side or two of them.
    private static func size(_ tree: JSONTree?) -> PreprocessingChanges.Size? {
        if let side = tree?.integer { return .init(height: side, width: side) }
        guard let height = tree?["height"]?.integer, let width = tree?["width"]?.integer else {
            return nil
        }
        return .init(height: height, width: width)
    }

    /// A kernel by Pillow's number or by its name.
    private static func kernel(_ tree: JSONTree?, _ notes: inout [String]) -> Resampling? {
        switch (tree?.integer, tree?.string) {
        case (0, _), (_, "nearest"): return .nearest
        case (1, _), (_, "lanczos"): return .lanczos
        case (2, _), (_, "bilinear"): return .bilinear
        case (3, _), (_, "bicubic"): return .bicubic
        // timm draws one of the two in training, and takes bilinear otherwise.
        case (_, "random"): return .bilinear
        case (nil, nil): return nil
        case (let number, let name):
            notes.append(
                "the interpolation `\(name ?? "\(number ?? 0)")` is not supported: the network's "
                    + "usual one is taken")
            return nil
        }
    }
}
