"""The papers that model cards cite."""

from __future__ import annotations

BIBTEX = {
    "ace": """@article{manolache2025ace,
  title   = {Learning (Approximately) Equivariant Networks via Constrained Optimization},
  author  = {Manolache, Andrei and Chamon, Luiz F. O. and Niepert, Mathias},
  journal = {arXiv preprint arXiv:2505.13631},
  year    = {2025}
}""",
    "cr": """@inproceedings{pertigkiozoglou2024cr,
  title     = {Improving Equivariant Model Training via Constraint Relaxation},
  author    = {Pertigkiozoglou, Stefanos and Chatzipantazis, Evangelos and Trivedi, Shubhendu and
               Daniilidis, Kostas},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2024}
}""",
    "recm": """@article{pertigkiozoglou2026recm,
  title   = {Recurrent Equivariant Constraint Modulation: Learning Per-Layer Symmetry Relaxation from Data},
  author  = {Pertigkiozoglou, Stefanos and Petrache, Mircea and Trivedi, Shubhendu and Daniilidis, Kostas},
  journal = {arXiv preprint arXiv:2602.02853},
  year    = {2026}
}""",
    "schnet": """@inproceedings{schutt2017schnet,
  title     = {{SchNet}: A continuous-filter convolutional neural network for modeling quantum interactions},
  author    = {Sch{\\"u}tt, Kristof T. and Kindermans, Pieter-Jan and Sauceda, Huziel E. and
               Chmiela, Stefan and Tkatchenko, Alexandre and M{\\"u}ller, Klaus-Robert},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017}
}""",
    "qm9": """@article{ramakrishnan2014qm9,
  title   = {Quantum chemistry structures and properties of 134 kilo molecules},
  author  = {Ramakrishnan, Raghunathan and Dral, Pavlo O. and Rupp, Matthias and von Lilienfeld, O. Anatole},
  journal = {Scientific Data},
  volume  = {1},
  pages   = {140022},
  year    = {2014},
  doi     = {10.1038/sdata.2014.22}
}""",
    "segnn": """@inproceedings{brandstetter2022segnn,
  title     = {Geometric and Physical Quantities Improve {E(3)} Equivariant Message Passing},
  author    = {Brandstetter, Johannes and Hesselink, Rob and van der Pol, Elise and Bekkers, Erik J. and
               Welling, Max},
  booktitle = {International Conference on Learning Representations},
  year      = {2022}
}""",
    "nri": """@inproceedings{kipf2018nri,
  title     = {Neural Relational Inference for Interacting Systems},
  author    = {Kipf, Thomas and Fetaya, Ethan and Wang, Kuan-Chieh and Welling, Max and Zemel, Richard},
  booktitle = {International Conference on Machine Learning},
  year      = {2018}
}""",
    "egnn": """@inproceedings{satorras2021egnn,
  title     = {{E(n)} Equivariant Graph Neural Networks},
  author    = {Satorras, V{\\'i}ctor Garcia and Hoogeboom, Emiel and Welling, Max},
  booktitle = {International Conference on Machine Learning},
  year      = {2021}
}""",
    "etflow": """@inproceedings{hassan2024etflow,
  title     = {{ET-Flow}: Equivariant Flow-Matching for Molecular Conformer Generation},
  author    = {Hassan, Majdi and Shenoy, Nikhil and Lee, Jungyoon and St{\\"a}rk, Hannes and
               Thaler, Stephan and Beaini, Dominique},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2024}
}""",
    "torchmdnet": """@inproceedings{tholke2022torchmdnet,
  title     = {{TorchMD-NET}: Equivariant Transformers for Neural Network based Molecular Potentials},
  author    = {Th{\\"o}lke, Philipp and De Fabritiis, Gianni},
  booktitle = {International Conference on Learning Representations},
  year      = {2022}
}""",
    "etkdg": """@article{wang2020etkdg,
  title   = {Improving Conformer Generation for Small Rings and Macrocycles Based on Distance Geometry and
             Experimental Torsional-Angle Preferences},
  author  = {Wang, Shuzhe and Witek, Jagna and Landrum, Gregory A. and Riniker, Sereina},
  journal = {Journal of Chemical Information and Modeling},
  volume  = {60},
  pages   = {2044--2058},
  year    = {2020}
}""",
    "xtb": """@article{bannwarth2019gfn2,
  title   = {{GFN2-xTB}: An Accurate and Broadly Parametrized Self-Consistent Tight-Binding Quantum Chemical
             Method with Multipole Electrostatics and Density-Dependent Dispersion Contributions},
  author  = {Bannwarth, Christoph and Ehlert, Sebastian and Grimme, Stefan},
  journal = {Journal of Chemical Theory and Computation},
  volume  = {15},
  pages   = {1652--1671},
  year    = {2019}
}""",
    "egno": """@inproceedings{xu2024egno,
  title     = {Equivariant Graph Neural Operator for Modeling {3D} Dynamics},
  author    = {Xu, Minkai and Han, Jiaqi and Lou, Aaron and Kossaifi, Jean and Ramanathan, Arvind and
               Azizzadenesheli, Kamyar and Leskovec, Jure and Ermon, Stefano and Anandkumar, Anima},
  booktitle = {International Conference on Machine Learning},
  year      = {2024}
}""",
    "gmn": """@inproceedings{huang2022gmn,
  title     = {Equivariant Graph Mechanics Networks with Constraints},
  author    = {Huang, Wenbing and Han, Jiaqi and Rong, Yu and Xu, Tingyang and Sun, Fuchun and
               Huang, Junzhou},
  booktitle = {International Conference on Learning Representations},
  year      = {2022}
}""",
    "cmu": """@misc{cmumocap,
  title        = {{CMU} Graphics Lab Motion Capture Database},
  howpublished = {\\url{http://mocap.cs.cmu.edu}},
  note         = {The database was created with funding from NSF EIA-0196217}
}""",
    "vn": """@inproceedings{deng2021vn,
  title     = {Vector Neurons: A General Framework for {SO(3)}-Equivariant Networks},
  author    = {Deng, Congyue and Litany, Or and Duan, Yueqi and Poulenard, Adrien and
               Tagliasacchi, Andrea and Guibas, Leonidas J.},
  booktitle = {International Conference on Computer Vision},
  year      = {2021}
}""",
    "dgcnn": """@article{wang2019dgcnn,
  title   = {Dynamic Graph {CNN} for Learning on Point Clouds},
  author  = {Wang, Yue and Sun, Yongbin and Liu, Ziwei and Sarma, Sanjay E. and Bronstein, Michael M. and
             Solomon, Justin M.},
  journal = {ACM Transactions on Graphics},
  volume  = {38},
  number  = {5},
  year    = {2019}
}""",
    "modelnet": """@inproceedings{wu2015modelnet,
  title     = {{3D ShapeNets}: A Deep Representation for Volumetric Shapes},
  author    = {Wu, Zhirong and Song, Shuran and Khosla, Aditya and Yu, Fisher and Zhang, Linguang and
               Tang, Xiaoou and Xiao, Jianxiong},
  booktitle = {Conference on Computer Vision and Pattern Recognition},
  year      = {2015}
}""",
}
