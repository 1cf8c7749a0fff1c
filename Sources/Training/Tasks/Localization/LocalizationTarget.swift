// The one object of an image, as localisation learns it.

import GraftImages

/// The class of an image's largest object and its box, edges as shares of the sides; nil without any.
struct LocalizationTarget: Sendable, Hashable {
    /// An object.
    struct Object: Sendable, Hashable {
        var label: Int
        var box: Box
    }

    var object: Object?

    init(_ object: Object?) { self.object = object }

    /// The largest object in view, crowds left out.
    init(_ item: PhotoFolder.Item, places: [String: Int], seen: ViewChange = .none) {
        let boxes = DetectionTarget(item, places: places)
        let view =
            switch seen {
            case .none: boxes
            case .mirror: boxes.mirrored
            case .moved(let map): boxes.moved(by: map)
            }
        object = view.learned.max { $0.box.area < $1.box.area }
            .map { Object(label: $0.label, box: $0.box.cut) }
    }

    /// Centre, height and width of the box: bx, by, bh, bw.
    var numbers: [Double]? {
        object.map {
            let box = $0.box
            return [
                (box.left + box.right) / 2, (box.top + box.bottom) / 2, box.bottom - box.top,
                box.right - box.left,
            ]
        }
    }
}

extension Box {
    /// The part of the box that is within an image whose sides are 1.
    var cut: Box {
        func cut(_ value: Double) -> Double { min(max(value, 0), 1) }
        return Box(left: cut(left), top: cut(top), right: cut(right), bottom: cut(bottom))
    }

    /// The box of bx, by, bh, bw.
    init(center numbers: [Double]) {
        self.init(
            left: numbers[0] - numbers[3] / 2, top: numbers[1] - numbers[2] / 2,
            right: numbers[0] + numbers[3] / 2, bottom: numbers[1] + numbers[2] / 2)
    }
}
