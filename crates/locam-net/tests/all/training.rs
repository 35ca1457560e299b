//! Networks under automatic differentiation.

use crate::common::{CLASSES, input};
use burn::module::Module as _;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use locam_arch::ArchName;
use locam_net::Network;

#[test]
fn every_tensor_that_training_changes_gets_a_gradient() {
    let device = Device::default().autodiff();
    for arch in [ArchName::Resnet18, ArchName::Squeezenet1_1, ArchName::MobilenetV2] {
        let network = Network::init(arch, CLASSES, 0, &device);
        let loss = network.forward(input("gradient", 64, 96, &device)).powf_scalar(2.0).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        assert_eq!(gradients.len(), network.graph().parameters(CLASSES).len(), "{arch}");
    }
}

#[test]
fn training_moves_the_running_statistics_and_their_export_is_current() {
    let device = Device::default().autodiff();
    let network = Network::init(ArchName::Resnet18, CLASSES, 0, &device);
    let before = network.state_dict();
    network.forward(input("statistics", 64, 64, &device));
    let after = network.state_dict();
    assert_ne!(before["bn1.running_mean"], after["bn1.running_mean"]);
    assert_eq!(before["bn1.weight"], after["bn1.weight"]);
    assert_eq!(network.valid().state_dict(), after);
}

#[test]
fn parameter_ids_are_the_same_in_every_network_of_an_architecture() {
    let ids = |seed| {
        burn::module::list_param_ids(&Network::init(ArchName::Squeezenet1_1, 2, seed, &Device::default()))
    };
    assert_eq!(ids(1), ids(2));
}
