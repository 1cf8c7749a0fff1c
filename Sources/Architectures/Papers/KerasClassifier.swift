// What most networks of Keras Applications share: their names, and what is on top.

import GraftNetworks

/// A network under Keras' names whose classifier reads the mean of the last map.
protocol KerasClassifier: Blueprint {}

extension KerasClassifier {
    var naming: Naming { .keras }
    var neck: [any Layer] { [GlobalAveragePool("avg_pool")] }
    func head(classes: Int) -> [any Layer] { KerasPredictions(classes) }
}

/// Keras' last layers: the linear layer `predictions`, and its softmax as a layer of its own.
@LayerBuilder
func KerasPredictions(_ classes: Int) -> [any Layer] {
    Linear("predictions", classes)
    Softmax("predictions_softmax")
}
